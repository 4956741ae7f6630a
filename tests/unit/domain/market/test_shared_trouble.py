"""A cause that is common to a connection is found once and reported once, before any instrument."""

import pytest

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.liveness_board import LivenessBoard
from chimera_s1.domain.market.probe_verdict import ProbeVerdict
from chimera_s1.domain.market.quote import StreamKey

WALL = 1_772_514_460_000
KEYS = tuple(
    (InstrumentId(Venue.PERP, Symbol(f"SIM{number:04}USDT")), "binance.perp.bookTicker")
    for number in range(30)
)
SYMBOLS = {str(key[0].symbol) for key in KEYS}


class Market:
    """A board that is evaluated every 500 ms; frames arrive once a second, as with a window."""

    def __init__(self, keys: tuple[StreamKey, ...] = KEYS) -> None:
        self.board = LivenessBoard()
        self.keys = keys
        self.now_ms = 0.0
        self.changes: list[tuple[float, StatusChange]] = []
        self.suspects: set[StreamKey] = set()
        self.board.connection_opened("perp-0", keys, 0)

    def run(
        self,
        duration_ms: int,
        *,
        lag_ms: int | None = 5,
        late: frozenset[int] = frozenset(),
        refused: frozenset[int] = frozenset(),
        silent: frozenset[int] = frozenset(),
        unreadable: int = 0,
        reason: str = "crossed",
    ) -> None:
        """*late*, *refused*, *silent*: numbers of streams; *lag_ms* is that of the others."""
        for _ in range(duration_ms // 500):
            self.now_ms += 500
            if self.now_ms % 1_000 == 0:
                for number, key in enumerate(self.keys):
                    if number in refused:
                        self.board.record_refused(key, {reason: 1}, self.now_ms)
                    elif number not in silent:
                        lag = 7_000 if number in late else lag_ms
                        self.board.record_update(key, self.now_ms, lag)
                if len(silent) < len(self.keys):
                    self.board.record_message("perp-0", self.now_ms)
                if unreadable:
                    why = "unintelligible"
                    self.board.record_unreadable("perp-0", unreadable, why, self.now_ms)
            found = self.board.evaluate(self.now_ms, lambda moment: WALL + round(moment))
            self.changes += [(self.now_ms, change) for change in found.changes]
            self.suspects |= set(found.suspect_streams)

    def take(self) -> list[tuple[float, str, Liveness]]:
        """When, whose, and what: the changes since the last call."""
        taken, self.changes = self.changes, []
        return [(at, change.symbol, change.state) for at, change in taken]

    def states(self) -> set[Liveness]:
        return set(self.board.states().values())


ALL = frozenset(range(len(KEYS)))


def fine() -> Market:
    market = Market()
    market.run(20_000)
    market.take()
    return market


def test_a_late_venue_is_late_at_once_for_all_with_one_entry() -> None:
    """Within 5 s, with the lag; no instrument is called quiet or stale, none is probed."""
    market = fine()
    market.run(60_000, late=ALL)
    ((at, symbol, state),) = market.take()

    assert (symbol, state) == ("*", Liveness.LATE)
    assert at - 20_000 <= 5_000
    assert market.states() == {Liveness.LATE}
    assert market.board.troubles() == {"perp-0": "perp-0: quotes arrive 7.0 s after their event"}
    assert market.suspects == set()
    market.run(10_000)
    assert [entry[1:] for entry in market.take()] == [("*", Liveness.LIVE)]
    assert market.states() == {Liveness.LIVE}


def test_a_start_ends_what_a_killed_predecessor_reported() -> None:
    """Readers keep "LATE" of a connection until "LIVE" follows."""
    market = Market()
    market.run(1_000)

    assert market.take()[0] == (500, "*", Liveness.LIVE)


def test_a_lag_that_doubles_is_reported_again() -> None:
    market = fine()
    for lag_ms in (3_000, 4_000, 8_000, 20_000):
        market.run(5_000, lag_ms=lag_ms)
    causes = [change.cause for _, change in market.changes]
    assert [cause.split()[3] for cause in causes] == ["3.0", "8.0", "20.0"]


@pytest.mark.parametrize("reason", ["crossed", "malformed", "wrong_symbol"])
def test_a_venue_whose_frames_are_refused_is_degraded_at_once_for_all(reason: str) -> None:
    """Within 5 s, with the reason: it must not look calm, then stale symbol by symbol."""
    market = fine()
    market.run(60_000, refused=ALL, reason=reason)
    ((at, change),) = market.changes

    assert (change.symbol, change.state) == ("*", Liveness.DEGRADED)
    assert change.cause.endswith(f"({reason})")
    assert change.since - WALL == 21_000
    assert at - 20_000 <= 5_000
    assert market.states() == {Liveness.DEGRADED}
    assert market.suspects == set()
    market.take()
    market.run(10_000)
    assert [entry[1:] for entry in market.take()] == [("*", Liveness.LIVE)]


def test_messages_that_belong_to_no_stream_are_degraded_and_not_silence() -> None:
    """A connection whose messages are not understood is not called silent and dialled again."""
    market = fine()
    market.run(30_000, silent=ALL, unreadable=30)
    ((at, change),) = market.changes

    assert (change.symbol, change.state) == ("*", Liveness.DEGRADED)
    assert change.cause.endswith("(unintelligible)")
    assert at - 20_000 <= 5_000
    assert market.suspects == set()


def test_one_bad_stream_is_not_everybodys_trouble() -> None:
    market = fine()
    market.run(20_000, refused=frozenset({3}), late=frozenset({7}))

    assert sorted(entry[1:] for entry in market.take()) == [
        ("SIM0003USDT", Liveness.DEGRADED),
        ("SIM0007USDT", Liveness.LATE),
    ]
    assert market.board.troubles() == {}
    assert market.suspects == set(), "its frames arrive: there is nothing to ask the venue"


def test_duplicates_are_a_sign_of_life_and_no_defect() -> None:
    """A calm depth stream repeats its book; overlapping sockets deliver twice."""
    market = fine()
    market.run(30_000, refused=ALL, reason="stale_update_id")

    assert market.take() == []
    assert market.states() == {Liveness.LIVE}
    assert market.suspects == set()


def test_without_event_times_nothing_is_late() -> None:
    """Spot book tickers: the lag is unknown, and not guessed."""
    market = Market()
    market.run(20_000, lag_ms=None)
    assert market.states() == {Liveness.LIVE}


def test_half_of_the_active_streams_decide() -> None:
    """The calm ones, which bring nothing, have no vote."""
    market = fine()
    calm = frozenset(range(10, 30))
    market.run(10_000, silent=calm)
    market.take()
    market.run(6_000, silent=calm, late=frozenset(range(5)))
    assert ("*", Liveness.LATE) in [entry[1:] for entry in market.take()]
    assert market.states() == {Liveness.LATE}


def test_a_stale_stream_of_a_late_connection_has_an_entry_of_its_own() -> None:
    """And it gets one when it is only LATE again, and when all is well."""
    market = fine()
    market.run(10_000, silent=frozenset({0}))
    market.board.record_probe(KEYS[0], market.now_ms, ProbeVerdict.MOVED)
    market.run(6_000, silent=frozenset({0}), late=ALL)
    market.run(4_000, late=ALL)
    market.run(10_000)

    assert [entry[1:] for entry in market.take()] == [
        ("SIM0000USDT", Liveness.QUIET),
        ("SIM0000USDT", Liveness.STALE),
        ("*", Liveness.LATE),
        ("SIM0000USDT", Liveness.LATE),
        ("*", Liveness.LIVE),
        ("SIM0000USDT", Liveness.LIVE),
    ]


def test_trouble_outlasts_a_reconnect_until_quotes_show_that_it_is_over() -> None:
    market = fine()
    market.run(6_000, late=ALL)
    market.board.connection_lost("perp-0", KEYS, "cut", market.now_ms)
    market.run(3_000, silent=ALL)
    assert market.states() == {Liveness.BLIND}
    market.board.connection_opened("perp-0", KEYS, market.now_ms)
    market.take()
    market.run(5_000, late=ALL)
    assert market.states() == {Liveness.LATE}
    market.run(10_000)
    assert market.states() == {Liveness.LIVE}
    last = {change.symbol: change.state for _, change in market.changes}
    assert {last[symbol] for symbol in SYMBOLS} == {Liveness.LIVE}
