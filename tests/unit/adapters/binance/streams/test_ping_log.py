"""Pings of a socket: round trips, and when nothing has arrived for too long."""

from chimera_s1.adapters.binance.streams.ping_log import (
    SILENT_PINGS_MAX,
    UNANSWERED_MAX,
    PingLog,
)
from tests.fakes.manual_clock import ManualClock


async def test_a_pong_answers_older_pings_too() -> None:
    """RFC 6455, 5.5.3: a peer may answer only the newest ping."""
    clock = ManualClock()
    pings = PingLog(clock)
    first = pings.start_ping()
    await clock.advance(2_000)
    second = pings.start_ping()
    await clock.advance(30)

    assert pings.record_pong(second) == 30
    assert pings.record_pong(first) is None
    assert pings.unanswered == 0


async def test_a_pong_leaves_newer_pings_open() -> None:
    """The second pong is late as well, and its round trip is its own."""
    clock = ManualClock()
    pings = PingLog(clock)
    first = pings.start_ping()
    await clock.advance(2_000)
    second = pings.start_ping()
    await clock.advance(500)

    assert pings.record_pong(first) == 2_500
    await clock.advance(2_000)
    assert pings.record_pong(second) == 2_500


def test_pings_that_are_never_answered_take_bounded_memory() -> None:
    pings = PingLog(ManualClock())
    payloads = [pings.start_ping() for _ in range(3 * UNANSWERED_MAX)]

    assert pings.unanswered == UNANSWERED_MAX
    assert pings.record_pong(payloads[0]) is None
    assert pings.record_pong(payloads[-1]) == 0


def test_only_pings_in_a_row_without_any_read_make_a_socket_dead() -> None:
    """One read in between starts the count again; time plays no part, so a process that was
    suspended reads first.
    """
    pings = PingLog(ManualClock())
    verdicts = [pings.is_dead(1) for _ in range(SILENT_PINGS_MAX)]
    alive_again = pings.is_dead(2)
    silent = [pings.is_dead(2) for _ in range(SILENT_PINGS_MAX)]

    assert not any(verdicts)
    assert not alive_again
    assert silent == [False] * (SILENT_PINGS_MAX - 1) + [True]
