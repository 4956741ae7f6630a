"""Port: a venue's stream of listings, delistings and changes of contracts."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.health import ListingNewsReport


class ListingNotice(Struct, frozen=True):
    """A contract was listed, delisted or changed. The listing may say so a moment later.

    Attributes:
        status, contract_type: In the venue's words; empty where the notice has none.
        delivery_ms: On a perpetual contract a near date is the day it is delisted, epoch ms.
        ts: The venue's time of the notice, epoch ms; 0 where it has none.
    """

    instrument: InstrumentId
    status: str
    contract_type: str = ""
    delivery_ms: int | None = None
    ts: int = 0


class ListingNews(Protocol):
    """Notices may be lost, while a connection is: read the listing at intervals, too."""

    async def run(self, on_notice: Callable[[ListingNotice], None]) -> None:
        """Call *on_notice* with each notice until cancelled. Reconnects by itself; *on_notice* must
        neither wait nor raise.
        """
        ...

    def report(self) -> ListingNewsReport: ...
