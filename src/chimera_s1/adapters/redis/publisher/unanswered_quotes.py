"""Quotes that were sent and not answered: if they are sent again, they may be there already."""

from collections.abc import Collection, Iterable

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote, StreamKey


class UnansweredQuotes:
    """The newest one of each instrument and source: of two, only the newer is sent again."""

    def __init__(self) -> None:
        self._newest: dict[StreamKey, Quote] = {}

    def __bool__(self) -> bool:
        return bool(self._newest)

    def __contains__(self, quote: Quote) -> bool:
        return self._newest.get((quote.instrument, quote.source)) == quote

    def add(self, quotes: Iterable[Quote]) -> None:
        for quote in quotes:
            self._newest[quote.instrument, quote.source] = quote

    def discard(self, quotes: Iterable[Quote]) -> None:
        for quote in quotes:
            if quote in self:
                del self._newest[quote.instrument, quote.source]

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        self._newest = {k: quote for k, quote in self._newest.items() if k[0] not in instruments}
