"""What the entries of `mkt:status` say now."""

from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.status_in_force import StatusInForce
from tests.sample_quotes import entry

LATE = "spot-0: quotes arrive 2.1 s after their event"
CARRIERS = ("spot-0", "spot-1")


def state(status: StatusInForce, symbol: str = "A") -> Liveness | None:
    found = status.of(symbol, CARRIERS)
    return found.state if found is not None else None


def test_the_newest_entry_of_an_instrument_holds() -> None:
    status = StatusInForce()
    assert state(status) is None
    status.record([entry("A", Liveness.LIVE), entry("B", Liveness.BLIND)])
    status.record([entry("A", Liveness.STALE)])

    assert (state(status), state(status, "B")) == (Liveness.STALE, Liveness.BLIND)


def test_what_concerns_a_connection_holds_for_its_instruments_until_it_is_over() -> None:
    """Where the instrument itself is not worse; other connections do not matter."""
    status = StatusInForce()
    status.record([entry("A", Liveness.LIVE), entry("B", Liveness.STALE)])
    status.record([entry("*", Liveness.LATE, cause=LATE)])
    status.record([entry("*", Liveness.DEGRADED, cause="spot-7: frames refused")])

    assert (state(status), state(status, "B")) == (Liveness.LATE, Liveness.STALE)
    assert status.of("A", ["spot-1"]) == entry("A", Liveness.LIVE)
    status.record([entry("*", Liveness.LIVE, cause="spot-0: quotes are published in time")])
    assert state(status) is Liveness.LIVE
    assert [each.cause for each in status.shared()] == ["spot-7: frames refused"]


def test_a_gap_lasts_until_the_marker_that_repeats_it() -> None:
    """It is no state of an instrument, and not written after a take-over."""
    status = StatusInForce()
    first, second = (StatusChange(9, "*", Liveness.GAP, since, "spot-0: cut") for since in (1, 5))
    status.record([first, second, StatusChange(9, "*", Liveness.RESUMED, 1, "spot-0: cut")])

    assert status.shared() == [second]
    assert state(status) is None
    assert status.states() == []
    status.record([StatusChange(9, "*", Liveness.RESUMED, 5, "spot-0: cut")])
    assert status.shared() == []


def test_the_last_entry_of_an_instrument_is_forgotten_once_it_is_written() -> None:
    """A predecessor's entry about it must not be the last one on the stream."""
    in_force = StatusInForce()
    last = StatusChange(2, "BTCUSDT", Liveness.STALE, 2, "delisted", is_last=True)
    in_force.record([StatusChange(1, "BTCUSDT", Liveness.LIVE, 1, "updates"), last])

    assert in_force.states() == [last]
    in_force.forget_ended()
    assert in_force.states() == []
