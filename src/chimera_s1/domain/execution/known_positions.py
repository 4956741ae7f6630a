"""What the ledger's fills say of positions, and which symbols were traded when."""

from collections.abc import Mapping
from decimal import Decimal

from chimera_s1.domain.execution.events import FillRecorded, PositionAdopted
from chimera_s1.domain.execution.position_check import (
    KnownPosition,
    PositionKey,
    key_of,
    signed_qty,
)
from chimera_s1.domain.identifiers import InstrumentId, Venue


class KnownPositions:
    """Part of the ledger's fold: every fill counts once, wherever the ledger has it."""

    def __init__(self) -> None:
        self._positions: dict[PositionKey, KnownPosition] = {}
        self._last_fill_ms: dict[InstrumentId, int] = {}

    @property
    def positions(self) -> Mapping[PositionKey, KnownPosition]:
        return self._positions

    @property
    def last_fill_ms(self) -> Mapping[InstrumentId, int]:
        """Of every symbol that was traded; exchange epoch ms."""
        return self._last_fill_ms

    def apply(self, event: FillRecorded | PositionAdopted) -> None:
        if isinstance(event, PositionAdopted):
            key = PositionKey(event.symbol, event.position_side)
            self._move(key, event.qty - event.known_qty, adoptions=1)
            return
        fill = event.fill
        traded = InstrumentId(fill.venue, fill.symbol)
        self._last_fill_ms[traded] = max(fill.at_ms, self._last_fill_ms.get(traded, 0))
        if fill.venue is Venue.PERP:
            self._move(key_of(fill), signed_qty(fill), adoptions=0)

    def _move(self, key: PositionKey, by: Decimal, *, adoptions: int) -> None:
        before = self._positions.get(key, KnownPosition())
        self._positions[key] = KnownPosition(before.qty + by, before.adoptions + adoptions)
