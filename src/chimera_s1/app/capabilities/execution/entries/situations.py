"""Collect what the decision about an entry depends on."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.futures_holding import holding_of
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec, SpotEntrySpec
from chimera_s1.domain.execution.entries.steps import Situation
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_request import Side
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.position_check import ONE_WAY_SIDE, KnownPosition, PositionKey
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec

ENTRIES_MAX: Final = 10_000
_ZERO: Final = Decimal(0)
_Value = TypeVar("_Value")


class Surroundings(Struct, frozen=True, kw_only=True):
    """What is known of the market and the account in memory.

    Attributes:
        prices: None where no quote is recent enough.
        free: Spot balance of an asset that no order locks; None where it was not read yet.
        hold_ms: How long a rate limit forbids requests to a venue.
        positions_known: Whether positions were compared with the exchange since the start.
    """

    spec: Callable[[InstrumentId], InstrumentSpec | None]
    prices: Callable[[InstrumentId], CurrentPrices | None]
    free: Callable[[str], Decimal | None]
    hold_ms: Callable[[Venue], float]
    positions_known: Callable[[], bool]


class InFlight(Protocol):
    def __contains__(self, client_id: str) -> bool: ...


class _Since(Generic[_Value]):
    """Since when a value of each entry is what it is, as this process saw it; epoch ms."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[_Value, int]] = {}

    def of(self, entry_id: str, value: _Value, now_ms: int) -> int:
        known = self._seen.get(entry_id)
        since_ms = now_ms if known is None or known[0] != value else known[1]
        self._seen[entry_id] = (value, since_ms)
        if len(self._seen) > ENTRIES_MAX:
            del self._seen[next(iter(self._seen))]
        return since_ms


class BuildSituation:
    """Args:
    in_flight: Client ids of orders that this process is sending.
    """

    def __init__(
        self,
        state: ExecutionState,
        entries: EntryLedger,
        surroundings: Surroundings,
        in_flight: InFlight,
    ) -> None:
        self._state = state
        self._entries = entries
        self._surroundings = surroundings
        self._in_flight = in_flight
        self._positions = _Since[Decimal | None]()
        self._sight = _Since[str]()

    def of(
        self, entry: Entry, now_ms: int, busy: Iterable[str] = (), not_found: Iterable[str] = ()
    ) -> Situation:
        """*busy* and *not_found* as in `Situation`."""
        orders = self._entries.orders_of(entry.entry_id)
        names = self._state.entries.orders_of(entry.entry_id)
        sending = (name for name in names if name in self._in_flight)
        instrument = self._surroundings.spec(entry.spec.instrument)
        hold_ms = self._surroundings.hold_ms(entry.spec.instrument.venue)
        position_qty = self._position_qty(entry)
        prices = self._surroundings.prices(entry.spec.instrument)
        sight_ms = self._sight.of(entry.entry_id, "blind" if prices is None else "sees", now_ms)
        return Situation(
            entry=entry,
            orders=orders,
            now_ms=now_ms,
            fills=(
                self._state.entries.fills_of(orders.entry.client_id)
                if orders.entry is not None
                else ()
            ),
            instrument=instrument,
            busy=frozenset((*busy, *sending)),
            not_found=frozenset(not_found),
            position_qty=position_qty,
            position_since_ms=self._positions.of(entry.entry_id, position_qty, now_ms),
            held_until_ms=now_ms + round(hold_ms) if hold_ms else 0,
            free_quote=self._free_quote(entry, instrument),
            prices=prices,
            blind_since_ms=sight_ms if prices is None else 0,
        )

    def _position_qty(self, entry: Entry) -> Decimal | None:
        """What the ledger's trades say is left of the position, after older entries had theirs."""
        spec = entry.spec
        if not isinstance(spec, FuturesEntrySpec):
            return None
        side = ONE_WAY_SIDE if spec.position_side is None else spec.position_side.value
        if not self._surroundings.positions_known():
            return None
        key = PositionKey(spec.symbol, side)
        known = self._state.positions.positions.get(key, KnownPosition())
        in_direction = known.qty if spec.side is Side.BUY else -known.qty
        older = sum((self._held(other) for other in self._older(entry, spec)), _ZERO)
        return max(_ZERO, in_direction - older)

    def _older(self, entry: Entry, spec: FuturesEntrySpec) -> Iterable[Entry]:
        """Open entries that share its position and were accepted before it."""
        for other in self._state.entries.open_entries():
            if other.entry_id == entry.entry_id:
                return
            shares = isinstance(other.spec, FuturesEntrySpec) and (
                other.spec.symbol,
                other.spec.position_side,
                other.spec.side,
            ) == (spec.symbol, spec.position_side, spec.side)
            if shares:
                yield other

    def _held(self, entry: Entry) -> Decimal:
        orders = self._entries.orders_of(entry.entry_id)
        if orders.entry is None:
            return _ZERO
        return holding_of(orders.entry, Situation(entry=entry, orders=orders, now_ms=0)).held

    def _free_quote(self, entry: Entry, instrument: InstrumentSpec | None) -> Decimal | None:
        if not isinstance(entry.spec, SpotEntrySpec) or instrument is None:
            return None
        return self._surroundings.free(instrument.quote_asset)
