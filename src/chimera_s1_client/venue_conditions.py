"""The conditions of a venue's instruments, from the entries of `mkt:status:<venue>`."""

from collections.abc import Mapping

from chimera_s1_client.quote import Condition, State

EVERY_INSTRUMENT = "*"
GAPS_MAX = 256
"""Open gaps that are remembered. One that is never closed ends with the next quote."""

_UNKNOWN = Condition(State.UNKNOWN, cause="no entry about it is left on mkt:status")
_SEVERITY: dict[str, int] = {
    State.LIVE: 0,
    State.QUIET: 0,
    State.UNKNOWN: 0,
    State.LATE: 1,
    State.DEGRADED: 2,
    State.STALE: 3,
    State.BLIND: 4,
}
_SEVERITY_OF_UNKNOWN_STATES = 3


def status_stream(venue: str) -> str:
    return f"mkt:status:{venue}"


class VenueConditions:
    """What concerns a whole connection is taken to concern each instrument of the venue: entries do
    not say which connection carries an instrument.
    """

    def __init__(self) -> None:
        self._own: dict[str, Condition] = {}
        self._shared: dict[str, Condition] = {}
        self._gaps: dict[tuple[str, int], tuple[int, Condition]] = {}

    def record(self, fields: Mapping[str, str]) -> None:
        """Take in one entry, in order.

        Raises:
            KeyError, ValueError: A field is missing, or is no number.
        """
        ts, since = int(fields["ts"]), int(fields["since"])
        symbol, cause = fields["symbol"], fields["cause"]
        condition = Condition(fields["state"], since, cause)
        match condition.state:
            case State.GAP:
                self._open_gap(ts, condition)
            case "RESUMED":
                self._gaps.pop((cause, since), None)
            case _ if symbol != EVERY_INSTRUMENT:
                self._own[symbol] = condition
            case State.LIVE:
                self._shared.pop(_connection(cause), None)
            case _:
                self._shared[_connection(cause)] = condition

    def of(self, symbol: str, newest_ts: int) -> Condition:
        """The condition of *symbol*, whose newest quote has the time *newest_ts*.

        A gap ends with the first quote that is later than it.
        """
        for gap_ts, gap in reversed(self._gaps.values()):
            if newest_ts <= gap_ts:
                return gap
        found = [self._own.get(symbol, _UNKNOWN), *self._shared.values()]
        return max(found, key=_severity)

    def _open_gap(self, ts: int, gap: Condition) -> None:
        self._gaps.pop((gap.cause, gap.since), None)
        self._gaps[gap.cause, gap.since] = (ts, gap)
        if len(self._gaps) > GAPS_MAX:
            del self._gaps[next(iter(self._gaps))]


def _severity(condition: Condition) -> int:
    return _SEVERITY.get(condition.state, _SEVERITY_OF_UNKNOWN_STATES)


def _connection(cause: str) -> str:
    """The name of the connection, with which a cause begins."""
    return cause.partition(" ")[0].rstrip(":")
