"""Read stored funding records page by page, in bounded memory."""

from typing import Final, Self

from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import FundingStore

PAGE: Final = 1_000


class RecordPages:
    """In the order of their keys; no page is empty. No generator: one that is left early is closed
    by a task of the event loop, which has no owner.
    """

    def __init__(self, store: FundingStore, window: Window, symbol: Symbol | None = None) -> None:
        self._store = store
        self._window = window
        self._symbol = symbol
        self._after: SettlementKey | None = None
        self._has_more = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[FundingRecord, ...]:
        if not self._has_more:
            raise StopAsyncIteration
        page = await self._store.between(
            *self._window, symbol=self._symbol, after=self._after, limit=PAGE
        )
        self._has_more = len(page) == PAGE
        if not page:
            raise StopAsyncIteration
        self._after = page[-1].key
        return page
