"""The liveness board: markers with exact intervals, instrument states, streams to probe."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.interruptions import LAST_FRAMES_MS
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.liveness_board import LivenessBoard, LivenessUpdate
from chimera_s1.domain.market.probe_verdict import ProbeVerdict

BTC = (InstrumentId(Venue.PERP, Symbol("BTCUSDT")), "binance.perp.bookTicker")
ETH = (InstrumentId(Venue.PERP, Symbol("ETHUSDT")), "binance.perp.bookTicker")
ETH_DEPTH = (ETH[0], "binance.perp.depth5")
KEYS = (BTC, ETH)
WALL = 1_772_514_460_000


def look(
    board: LivenessBoard, now_ms: float, closed: frozenset[InstrumentId] = frozenset()
) -> LivenessUpdate:
    return board.evaluate(now_ms, lambda moment: WALL + round(moment), lambda i: i not in closed)


def busy(
    board: LivenessBoard, upto_ms: int, keys: tuple[tuple[InstrumentId, str], ...] = KEYS
) -> None:
    """Each of *keys* gets an update every 100 ms from 100 to *upto_ms*."""
    for at in range(100, upto_ms + 1, 100):
        for key in keys:
            board.record_update(key, at)


def opened_board(upto_ms: int = 5_000) -> LivenessBoard:
    board = LivenessBoard()
    board.connection_opened("perp-0", KEYS, 0)
    busy(board, upto_ms)
    look(board, upto_ms)
    return board


def test_instruments_with_updates_are_live() -> None:
    """The first evaluation reports it once."""
    board = LivenessBoard()
    board.connection_opened("perp-0", KEYS, 0)
    busy(board, 1_000)
    changes = look(board, 1_000).changes

    assert [(change.symbol, change.state) for change in changes] == [
        ("*", Liveness.LIVE),
        ("BTCUSDT", Liveness.LIVE),
        ("ETHUSDT", Liveness.LIVE),
    ]
    assert look(board, 1_100).changes == ()


def test_a_connection_that_opens_with_other_streams_carries_those() -> None:
    """The venue was listed again: one stream is gone, one is new, one came from another socket."""
    board = opened_board()
    sol = (InstrumentId(Venue.PERP, Symbol("SOLUSDT")), BTC[1])
    board.connection_opened("perp-1", [ETH_DEPTH], 5_000)
    board.connection_opened("perp-0", [ETH, sol, ETH_DEPTH], 5_000)
    board.record_update(BTC, 5_100)
    board.record_refused(BTC, {"malformed": 1}, 5_100)
    for key in (ETH, sol, ETH_DEPTH):
        board.record_update(key, 5_100)
    look(board, 5_200)

    assert set(board.states()) == {ETH[0], sol[0]}
    assert not board.carries(BTC)
    assert {board.connection_of(key) for key in (ETH, sol, ETH_DEPTH)} == {"perp-0"}
    board.connection_lost("perp-1", [BTC], "cut", 5_300)
    look(board, 5_400)
    assert board.connection_of(BTC) == "perp-1"


def test_a_loss_and_its_end_are_marked_with_the_exact_interval() -> None:
    """GAP and RESUMED carry the last moment before and the first after it."""
    board = opened_board()
    board.connection_lost("perp-0", KEYS, "cut", 5_050)
    board.record_update(BTC, 5_040)  # drained after the loss was reported
    early = look(board, 5_500)
    late = look(board, 5_050 + LAST_FRAMES_MS)
    board.connection_opened("perp-0", KEYS, 9_000)
    board.record_update(BTC, 9_000)
    board.record_update(ETH, 9_010)
    back = look(board, 9_100)

    assert {Liveness.BLIND} == {change.state for change in early.changes}
    assert (
        StatusChange(WALL + 5_050, "*", Liveness.GAP, WALL + 5_040, "perp-0: cut"),
    ) == late.changes
    assert (
        StatusChange(WALL + 9_000, "*", Liveness.RESUMED, WALL + 5_040, "perp-0: cut")
        == back.changes[0]
    )
    assert {Liveness.LIVE} == {change.state for change in back.changes[1:]}
    assert look(board, 9_200).changes == ()


def test_a_short_interruption_is_marked_too() -> None:
    """Reconnected before the GAP was reported: both markers follow, in order, after the last
    frames.
    """
    board = opened_board()
    board.connection_lost("perp-0", KEYS, "cut", 5_050)
    board.connection_opened("perp-0", KEYS, 5_300)
    busy_states = [change.state for change in look(board, 5_400).changes if change.symbol == "*"]
    markers = [change for change in look(board, 7_000).changes if change.symbol == "*"]

    assert busy_states == []
    assert [(marker.state, marker.since - WALL) for marker in markers] == [
        (Liveness.GAP, 5_000),
        (Liveness.RESUMED, 5_000),
    ]


def test_gap_and_resumed_have_the_same_since() -> None:
    """Also if the wall clock has drifted by 1 ms or stepped in between."""
    board = opened_board()
    board.connection_lost("perp-0", KEYS, "cut", 5_050)
    (gap,) = (c for c in look(board, 7_000).changes if c.symbol == "*")
    board.connection_opened("perp-0", KEYS, 9_000)
    (resumed,) = (
        c for c in board.evaluate(9_100, lambda at: WALL + 1 + round(at)).changes if c.symbol == "*"
    )

    assert gap.since == resumed.since == WALL + 5_000
    assert resumed.ts == WALL + 9_001


def test_failed_dials_belong_to_the_same_interruption() -> None:
    """One GAP for any number of attempts."""
    board = opened_board()
    for at in (5_050, 6_000, 8_000):
        board.connection_lost("perp-0", KEYS, "refused", at)
    changes = [*look(board, 9_000).changes, *look(board, 20_000).changes]

    assert [change.state for change in changes if change.symbol == "*"] == [Liveness.GAP]


def test_silent_connection_is_reported_and_its_instruments_are_blind() -> None:
    """Open, pings answered, no data: the connection is found, no stream is called quiet."""
    board = opened_board()
    quiet = look(board, 7_500)
    found = look(board, 8_600)

    assert (quiet.silent_connections, quiet.changes) == ((), ())
    assert found.silent_connections == ("perp-0",)
    assert {("BTCUSDT", Liveness.BLIND), ("ETHUSDT", Liveness.BLIND)} == {
        (change.symbol, change.state) for change in found.changes
    }


def test_connection_with_only_refused_messages_is_not_silent() -> None:
    """Rejected frames are a sign of life of the connection; its streams are probed."""
    board = opened_board()
    for at in range(5_100, 11_001, 100):
        board.record_message("perp-0", at)
    found = look(board, 11_000)

    assert found.silent_connections == ()
    assert set(found.suspect_streams) == set(KEYS)
    assert {change.state for change in found.changes} == {Liveness.QUIET}


def test_one_silent_stream_on_an_active_connection_is_suspect() -> None:
    """ETH delivers, BTC does not: BTC is QUIET, then suspect, and STALE once a probe finds a
    changed book.
    """
    board = opened_board()
    for at in range(5_100, 11_001, 100):
        board.record_update(ETH, at)
    found = look(board, 11_000)
    board.record_probe(BTC, 11_100, ProbeVerdict.MOVED)
    probed = look(board, 11_200)

    assert (found.suspect_streams, found.silent_connections) == ((BTC,), ())
    assert [(c.symbol, c.state) for c in found.changes] == [("BTCUSDT", Liveness.QUIET)]
    assert [(c.symbol, c.state) for c in probed.changes] == [("BTCUSDT", Liveness.STALE)]
    assert probed.suspect_streams == ()
    assert board.connection_of(BTC) == "perp-0"


def test_the_stream_that_waits_longest_for_a_probe_comes_first() -> None:
    """However silent the others are: with many suspects none waits for ever."""
    board, sol = LivenessBoard(), (InstrumentId(Venue.PERP, Symbol("SOLUSDT")), BTC[1])
    board.connection_opened("perp-0", (*KEYS, sol), 0)
    busy(board, 5_000, (*KEYS, sol))
    board.record_update(ETH, 6_000)
    for at in range(5_100, 60_001, 100):
        board.record_update(sol, at)
        look(board, at)
    assert look(board, 60_000).suspect_streams == (BTC, ETH), "first by silence"
    board.start_probe(BTC, 60_000)
    assert look(board, 60_100).suspect_streams == (ETH,), "its probe is under way"
    board.record_probe(BTC, 61_000, ProbeVerdict.CALM)
    for at in range(60_100, 95_001, 100):
        board.record_update(sol, at)
    assert look(board, 95_000).suspect_streams == (ETH, BTC)


def test_instrument_with_two_streams_has_the_worse_state() -> None:
    """A stalled bookTicker is not hidden by a depth stream that delivers."""
    board = LivenessBoard()
    keys = (ETH, ETH_DEPTH)
    board.connection_opened("perp-0", keys, 0)
    busy(board, 5_000, keys)
    look(board, 5_000)
    for at in range(5_100, 11_001, 100):
        board.record_update(ETH_DEPTH, at)
    (change,) = look(board, 11_000).changes

    assert (change.symbol, change.state) == ("ETHUSDT", Liveness.QUIET)
    assert change.cause.startswith("binance.perp.bookTicker")


def test_quote_of_an_unknown_connection_is_ignored() -> None:
    """A quote of a stream whose connection is not known yet changes nothing."""
    board = LivenessBoard()
    board.record_update(BTC, 100)
    board.record_probe(BTC, 100, ProbeVerdict.MOVED)

    assert LivenessUpdate((), (), ()) == look(board, 200)


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 3_000), st.sampled_from(["opened", "lost", "message", "look"])),
        max_size=80,
    )
)
def test_markers_alternate_and_intervals_do_not_overlap(
    steps: list[tuple[int, str]],
) -> None:
    """Each GAP is followed by at most one RESUMED of the same interval."""
    board, now, markers = LivenessBoard(), 0, []
    board.connection_opened("perp-0", KEYS, 0)
    for pause, step in steps:
        now += pause
        match step:
            case "opened":
                board.connection_opened("perp-0", KEYS, now)
            case "lost":
                board.connection_lost("perp-0", KEYS, "cut", now)
            case "message":
                board.record_update(BTC, now)
            case _:
                markers += [c for c in look(board, now).changes if c.is_marker]

    expected = [Liveness.GAP, Liveness.RESUMED] * len(markers)
    assert expected[: len(markers)] == [marker.state for marker in markers]
    assert all(marker.since <= marker.ts for marker in markers)
    pairs = zip(markers[::2], markers[1::2], strict=False)
    assert all(gap.since == resumed.since for gap, resumed in pairs)


def test_streams_that_are_removed_leave_nothing_behind() -> None:
    """The others keep their states, without an interruption."""
    board = opened_board()
    removed = board.streams_changed("perp-0", [ETH], 5_000)
    busy(board, 5_400, (ETH,))
    update = look(board, 5_500)

    assert removed == {BTC}
    assert (update.changes, board.states()) == ((), {ETH[0]: Liveness.LIVE})
    assert board.carriers(BTC[0]) == frozenset()
    assert not board.carries(BTC)


def test_a_stream_that_is_added_is_judged_from_its_subscription() -> None:
    """Its first message has 10 s; the others of its connection are judged as before."""
    board = opened_board()
    sol = (InstrumentId(Venue.PERP, Symbol("SOLUSDT")), BTC[1])
    board.streams_changed("perp-0", [*KEYS, sol], 5_000)
    for at in range(5_100, 15_000, 100):
        board.record_update(BTC, at)
        board.record_update(ETH, at)
    early = look(board, 14_900)
    late = look(board, 15_100)

    assert early.suspect_streams == ()
    assert late.suspect_streams == (sol,)
    assert {each.symbol for each in late.changes} == {"SOLUSDT"}


def test_a_connection_that_opens_later_opens_with_its_streams() -> None:
    board = LivenessBoard()

    assert board.streams_changed("perp-1", [ETH], 0) == frozenset()
    assert look(board, 1).changes == ()


def test_a_closed_connection_ends_what_was_said_of_it() -> None:
    """A GAP that nothing else would end, and no word about its silence afterwards."""
    board = opened_board()
    board.connection_lost("perp-0", KEYS, "closed", 5_100)
    gap = next(c for c in look(board, 5_100 + LAST_FRAMES_MS).changes if c.state is Liveness.GAP)
    board.streams_changed("perp-0", [], 7_000)
    first, second = look(board, 7_500), look(board, 70_000)

    assert first.changes == (
        StatusChange(WALL + 7_500, "*", Liveness.RESUMED, gap.since, gap.cause),
    )
    assert (second.changes, second.silent_connections) == ((), ())
    assert board.states() == {}


HOUR_MS = 3_600_000


def test_a_stream_whose_market_is_closed_is_quiet_and_not_suspect() -> None:
    """Whatever its rhythm was; the others are judged as always."""
    board = opened_board()
    changes: list[StatusChange] = []
    for now in range(5_500, HOUR_MS, 5_000):
        board.record_update(ETH, now)
        update = look(board, now, frozenset({BTC[0]}))
        changes += [each for each in update.changes if each.symbol == "BTCUSDT"]
        assert BTC not in update.suspect_streams
        assert update.silent_connections == ()

    assert [(each.state, each.cause) for each in changes] == [
        (Liveness.QUIET, "binance.perp.bookTicker: off_session: its market is closed")
    ]


def test_a_stream_that_never_delivered_is_quiet_while_its_market_is_closed() -> None:
    """A start at the weekend."""
    board = LivenessBoard()
    board.connection_opened("perp-0", [BTC], 0)
    changes = [
        change
        for now in range(0, HOUR_MS, 1_000)
        for change in look(board, now, frozenset({BTC[0]})).changes
    ]

    own = [each.state for each in changes if each.symbol != "*"]
    assert own == [Liveness.QUIET]


def test_a_connection_of_closed_markets_is_not_silent() -> None:
    """Nor in the first moment after they open: then silence counts from the opening."""
    board = opened_board()
    both = frozenset({BTC[0], ETH[0]})
    for now in range(5_500, HOUR_MS, 500):
        assert look(board, now, both).silent_connections == ()
    opened = look(board, HOUR_MS)
    soon = look(board, HOUR_MS + 2_900)
    late = look(board, HOUR_MS + 3_500)

    assert (opened.changes, opened.suspect_streams) == ((), ())
    assert soon.silent_connections == ()
    assert late.silent_connections == ("perp-0",)


def test_open_markets_decide_whether_a_connection_is_silent() -> None:
    """Its rhythm was that of markets that are closed now; a silent open one shows a defect."""
    board = LivenessBoard()
    board.connection_opened("perp-0", KEYS, 0)
    for at in range(100, 60_001, 100):
        board.record_update(BTC, at)
        if at % 20_000 == 0:
            board.record_update(ETH, at)
        if at % 500 == 0:
            look(board, at)
    closed = frozenset({BTC[0]})
    calm = [look(board, now, closed).silent_connections for now in range(60_500, 79_000, 500)]
    dead = look(board, 60_000 + HOUR_MS, closed)

    assert set(calm) == {()}
    assert dead.silent_connections == ("perp-0",)


def test_a_lost_connection_is_blind_also_while_its_markets_are_closed() -> None:
    board = opened_board()
    board.connection_lost("perp-0", KEYS, "cut", 5_100)
    update = look(board, 60_000, frozenset({BTC[0], ETH[0]}))

    assert board.states() == {BTC[0]: Liveness.BLIND, ETH[0]: Liveness.BLIND}
    assert update.silent_connections == ()


def test_a_proof_from_before_the_close_ends_with_it() -> None:
    """An empty book is what a closed market has; that it is delisted stays true."""
    for verdict, gone, expected in (
        (ProbeVerdict.EMPTY, "", Liveness.QUIET),
        (ProbeVerdict.MOVED, "", Liveness.QUIET),
        (ProbeVerdict.GONE, "not listed", Liveness.STALE),
    ):
        board = opened_board()
        board.record_probe(BTC, 6_000, verdict, gone)
        for now in range(6_000, 40_000, 500):
            board.record_update(ETH, now)
            look(board, now, frozenset({BTC[0]}))
        assert board.states()[BTC[0]] is expected


def test_a_market_that_opens_without_an_update_is_looked_into() -> None:
    """After the time that a first message has."""
    board = opened_board()
    for now in range(5_500, 60_000, 500):
        board.record_update(ETH, now)
        look(board, now, frozenset({BTC[0]}))
    suspects = []
    for now in range(60_000, 75_000, 500):
        board.record_update(ETH, now)
        suspects += [now for key in look(board, now).suspect_streams if key == BTC]

    assert suspects[0] == 70_500
