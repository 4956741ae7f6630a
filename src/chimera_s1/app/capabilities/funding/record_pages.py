"""Read stored funding records page by page, in bounded memory."""

from collections.abc import AsyncIterator
from typing import Final

from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import FundingStore

PAGE: Final = 1_000


async def record_pages(
    store: FundingStore, window: Window, symbol: Symbol | None = None
) -> AsyncIterator[tuple[FundingRecord, ...]]:
    """In the order of their keys; no page is empty."""
    after: SettlementKey | None = None
    while True:
        page = await store.between(*window, symbol=symbol, after=after, limit=PAGE)
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1].key
