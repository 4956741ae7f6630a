"""Serve a venue's feed: read its listing, select instruments and keep them subscribed."""

import logging
from collections.abc import Callable, Sequence

from msgspec import structs

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import FeedReport
from chimera_s1.domain.market.instrument_selection import (
    Listing,
    Selection,
    Shard,
    SymbolFilter,
    select_instruments,
)
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation
from chimera_s1.domain.ports.market_feed import MarketFeed

_log = logging.getLogger(__name__)


class ServeFeed:
    """Args:
    report_unknown_contract: Called once for each contract type that `*` does not know, with an
        instrument of that type.
    on_selected: Called with the instruments before they are subscribed.
    """

    def __init__(
        self,
        feed: MarketFeed,
        exchange: ExchangeInformation,
        *,
        choice: SymbolFilter,
        shard: Shard,
        clock: Clock,
        backoff: Backoff,
        draw: Callable[[], float],
        report_unknown_contract: Callable[[str, str], None],
        on_selected: Callable[[Sequence[InstrumentId]], None],
    ) -> None:
        self._feed = feed
        self._exchange = exchange
        self._choice = choice
        self._shard = shard
        self._clock = clock
        self._backoff = backoff
        self._draw = draw
        self._report_unknown_contract = report_unknown_contract
        self._on_selected = on_selected
        self._unlisted: tuple[str, ...] = ()
        self._listing_error = ""

    @property
    def venue(self) -> Venue:
        return self._feed.venue

    async def run(self) -> None:
        """Serve until cancelled; retry the listing while the venue is unavailable.

        It returns only if the feed ends by itself, which the supervisor treats as a defect.
        """
        selection = await self._select()
        self._unlisted = tuple(map(str, selection.unlisted))
        venue = self._feed.venue.value
        if selection.unlisted:
            names = ", ".join(self._unlisted)
            _log.warning("%s: not listed by Binance and skipped; correct S1_SYMBOLS", names)
        self._report_unknown(selection.unknown_contracts)
        _log.info("%s: subscribing %d instruments", venue, len(selection.instruments))
        self._on_selected(selection.instruments)
        await self._feed.run(selection.instruments)
        while not selection.instruments:
            # No instrument for this shard: a worker that returns counts as dead.
            await self._clock.sleep_ms(self._backoff.max_wait_ms)

    def report(self) -> FeedReport:
        """State of the connections, and the names that the venue does not list."""
        return structs.replace(
            self._feed.report(), unlisted=self._unlisted, listing_error=self._listing_error
        )

    def _report_unknown(self, listings: Sequence[Listing]) -> None:
        by_type = {row.contract_type: str(row.instrument) for row in reversed(listings)}
        for contract_type, example in by_type.items():
            _log.warning(
                "%s: contract type %r is unknown, so * does not serve it; name such a symbol in "
                "S1_SYMBOLS to serve it",
                example,
                contract_type,
            )
            self._report_unknown_contract(contract_type, example)

    async def _select(self) -> Selection:
        venue = self._feed.venue
        attempt = 0
        while True:
            try:
                listings = await self._exchange.listings(venue)
            except (ExchangeUnavailableError, ExchangeRefusedError) as error:
                self._listing_error = str(error)
                wait_ms = self._backoff.wait_ms(attempt, self._draw())
                _log.warning(
                    "listing of %s unavailable; retrying in %.1f s: %s", venue, wait_ms / 1e3, error
                )
                await self._clock.sleep_ms(wait_ms)
                attempt += 1
            else:
                return select_instruments(self._choice, listings, venue, self._shard)
