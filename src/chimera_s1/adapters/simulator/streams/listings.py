"""Lists, changes and delists symbols while the simulator runs, and says so on `!contractInfo`.

Binance announces listings, settlements and leverage brackets of futures there. Spot has no such
stream, and filters change without an event.
"""

from collections.abc import Sequence

from msgspec import structs

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.leverage_brackets import (
    LeverageBracket,
    leverage_brackets,
)
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import PERPETUAL_DELIVERY_MS, SymbolSpec
from chimera_s1.adapters.simulator.streams.payloads import contract_info
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.domain.identifiers import Venue

_PENDING, _TRADING, _SETTLING, _CLOSED = "PENDING_TRADING", "TRADING", "SETTLING", "CLOSE"
_IDLE_MS = 3_600_000


class Listings:
    """A contract that was listed or changed here starts and stops trading at its own times."""

    def __init__(self, clock: ScaledClock) -> None:
        self._clock = clock
        self._upcoming: dict[SymbolMarket, StreamHub] = {}

    async def run(self) -> None:
        """Start and stop trading when it is time, exchange time, until cancelled."""
        while True:
            now_ms = self._clock.now_ms()
            for market, hub in tuple(self._upcoming.items()):
                due_ms, status = _next_status(market)
                if due_ms <= now_ms:
                    spec = structs.replace(market.spec, status=status)
                    self.change(hub, market, spec, at_ms=due_ms)
            times = [_next_status(market)[0] for market in self._upcoming]
            await self._clock.sleep_until(min(times, default=now_ms + _IDLE_MS))

    def add(self, hub: StreamHub, spec: SymbolSpec, *, announce: bool = True) -> SymbolMarket:
        market = hub.market.add(spec, self._clock.now_ms())
        self._publish(hub, market, self._contract_info(spec) if announce else None)
        return market

    def change(
        self,
        hub: StreamHub,
        market: SymbolMarket,
        spec: SymbolSpec,
        *,
        delisted: bool = False,
        announce: bool = True,
        at_ms: int | None = None,
    ) -> None:
        """Replace the spec of *market*, which is delisted, listed again, or goes on.

        That happened at *at_ms*, by default now.
        """
        before, was_delisted = market.spec, market.delisted
        at_ms = self._clock.now_ms() if at_ms is None else at_ms
        market.change(spec, at_ms, delisted=delisted)
        event = self._event(market, before, was_delisted=was_delisted)
        self._publish(hub, market, event if announce else None)

    def _event(
        self, market: SymbolMarket, before: SymbolSpec, *, was_delisted: bool
    ) -> bytes | None:
        """The event of a change since *before*; None where Binance sends none."""
        spec = market.spec
        if market.delisted:
            closed = structs.replace(spec, status=_CLOSED)
            return None if was_delisted else self._contract_info(closed)
        if spec.max_leverage != before.max_leverage:
            return self._contract_info(spec, leverage_brackets(spec))
        changed = (spec.status, spec.delivery_ms) != (before.status, before.delivery_ms)
        return self._contract_info(spec) if changed or was_delisted else None

    def _contract_info(
        self, spec: SymbolSpec, brackets: Sequence[LeverageBracket] = ()
    ) -> bytes | None:
        if spec.venue is Venue.SPOT:
            return None
        return contract_info(spec, self._clock.now_ms(), brackets)

    def _publish(self, hub: StreamHub, market: SymbolMarket, event: bytes | None) -> None:
        due_ms, _ = _next_status(market)
        if self._clock.now_ms() < due_ms < PERPETUAL_DELIVERY_MS:
            self._upcoming[market] = hub
            self._clock.wake()
        else:
            self._upcoming.pop(market, None)
        hub.listings_changed(market, event)


def _next_status(market: SymbolMarket) -> tuple[int, str]:
    """When the status of *market* changes by itself, and what it is then."""
    spec = market.spec
    if spec.venue is Venue.PERP and not market.delisted:
        if spec.status == _PENDING:
            return spec.onboard_ms, _TRADING
        if spec.status == _TRADING:
            return spec.delivery_ms, _SETTLING
    return PERPETUAL_DELIVERY_MS, spec.status
