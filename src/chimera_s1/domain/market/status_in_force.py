"""What the entries of `mkt:status:<venue>` say now, as a reader of the stream puts them together.

An instrument has a state of its own; LATE and DEGRADED are also said of a whole connection, until
LIVE is. A GAP lasts until the RESUMED that repeats its `since` and `cause`.
"""

from collections.abc import Iterable

from chimera_s1.domain.market.liveness import (
    WHOLE_CONNECTION,
    Liveness,
    StatusChange,
    worst_liveness,
)


class StatusInForce:
    """Of one venue."""

    def __init__(self) -> None:
        self._own: dict[str, StatusChange] = {}
        self._connections: dict[str, StatusChange] = {}
        self._gaps: dict[tuple[int, str], StatusChange] = {}

    def record(self, changes: Iterable[StatusChange]) -> None:
        """Apply entries of the stream, in order."""
        for change in changes:
            if change.state is Liveness.GAP:
                self._gaps[change.since, change.cause] = change
            elif change.state is Liveness.RESUMED:
                self._gaps.pop((change.since, change.cause), None)
            elif change.symbol == WHOLE_CONNECTION:
                self._connections[change.connection] = change
            else:
                self._own[change.symbol] = change

    def forget_ended(self) -> None:
        """Forget the instruments that are not served any more; call it once that is written."""
        self._own = {symbol: last for symbol, last in self._own.items() if not last.is_last}

    def of(self, symbol: str, connections: Iterable[str]) -> StatusChange | None:
        """The worst of the instrument's own entry and those of *connections*, which carry it."""
        carriers = (self._connections.get(name) for name in connections)
        entries = [entry for entry in (self._own.get(symbol), *carriers) if entry is not None]
        worst = worst_liveness(entry.state for entry in entries)
        return next((entry for entry in entries if entry.state is worst), None)

    def states(self) -> list[StatusChange]:
        """The newest entry of each instrument and each connection; without GAP and RESUMED."""
        return [*self._own.values(), *self._connections.values()]

    def shared(self) -> list[StatusChange]:
        """Interruptions that last, and what is wrong with whole connections."""
        troubles = (e for e in self._connections.values() if e.state is not Liveness.LIVE)
        return [*self._gaps.values(), *troubles]
