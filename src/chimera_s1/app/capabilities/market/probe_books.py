"""Probe books: ask the venue by REST whether the book of a silent stream has changed."""

import logging

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation, TopOfBook

STREAM_CATCH_UP_MS = 1_000
"""Wait for an update that was under way while the venue answered the probe."""

_log = logging.getLogger(__name__)


class ProbeBooks:
    def __init__(self, exchange: ExchangeInformation, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    async def has_moved(self, instrument: InstrumentId, newest: Quote | None) -> bool | None:
        """True if the top of book has changed since *newest*; None if the venue does not answer.

        Without *newest*, two answers of the venue are compared. The caller must check afterwards
        whether the stream has delivered meanwhile.
        """
        first = await self._ask(instrument)
        await self._clock.sleep_ms(STREAM_CATCH_UP_MS)
        if newest is not None:
            return None if first is None else not _same(first, newest)
        second = await self._ask(instrument)
        if first is None or second is None:
            return None
        return first != second

    async def _ask(self, instrument: InstrumentId) -> TopOfBook | None:
        try:
            return await self._exchange.top_of_book(instrument)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            _log.warning("%s: REST probe of a silent stream failed: %s", instrument, error)
            return None


def _same(top: TopOfBook, quote: Quote) -> bool:
    ours = (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)
    return ours == (top.bid, top.bid_qty, top.ask, top.ask_qty)
