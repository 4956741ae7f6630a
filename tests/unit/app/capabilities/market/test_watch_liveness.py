"""Watching liveness: published statuses, reconnects, probes and renewals."""

import anyio
import pytest

from chimera_s1.app.capabilities.market.probe_books import STREAM_CATCH_UP_MS
from chimera_s1.app.capabilities.market.watch_liveness import CHECK_INTERVAL_MS, RENEWAL_PAUSE_MS
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.health import MarketReport
from chimera_s1.domain.market.interruptions import LAST_FRAMES_MS
from chimera_s1.domain.market.liveness import Liveness
from chimera_s1.domain.market.probe_verdict import PROBE_INTERVAL_MS
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    RoundTrip,
    StreamsChanged,
)
from tests.reachable import paths_to
from tests.unit.app.capabilities.market.liveness_rig import (
    BTC,
    ETH,
    KEYS,
    OTHER,
    START,
    Rig,
    watching,
)

HOUR_MS = 3_600_000


async def test_silent_connection_is_reconnected_and_reported() -> None:
    """BLIND with the look that finds it, GAP, RESUMED and LIVE, each with its exact times."""
    async with watching() as rig:
        await rig.clock.advance(10_000)
        assert rig.feed.reconnect_calls == [("perp-0", "no message for much longer than usual")]
        rig.opened()
        rig.deliver(*KEYS)
        await rig.clock.advance(CHECK_INTERVAL_MS)

        found = 5_000 + 3_000 + CHECK_INTERVAL_MS
        assert rig.times == [
            (500, "BTCUSDT", Liveness.LIVE, 500),
            (500, "ETHUSDT", Liveness.LIVE, 500),
            (found, "BTCUSDT", Liveness.BLIND, 5_000),
            (found, "ETHUSDT", Liveness.BLIND, 5_000),
            (found, "*", Liveness.GAP, 5_000),
            (15_000, "*", Liveness.RESUMED, 5_000),
            (15_500, "BTCUSDT", Liveness.LIVE, 15_500),
            (15_500, "ETHUSDT", Liveness.LIVE, 15_500),
        ]
        assert rig.changes[4].cause == "perp-0: no message for much longer than usual"
        assert rig.watch.counters.blind_reconnects == 1
        assert rig.watch.report() == MarketReport(live=2, quiet=0, stale=0, blind=0)


@pytest.mark.parametrize("kind", [ConnectionLost, ConnectionFatal])
async def test_lost_connection_is_blind_at_the_next_check(
    kind: type[ConnectionLost | ConnectionFatal],
) -> None:
    """The socket has reported the loss itself, so there is no wait and no second dial."""
    async with watching() as rig:
        if kind is ConnectionLost:
            rig.lost()
        else:
            rig.watch.on_feed_event(ConnectionFatal("perp-0", Venue.PERP, KEYS, "cut", 11))
        await rig.clock.advance(CHECK_INTERVAL_MS)
        blind = rig.watch.states()
        await rig.clock.advance(LAST_FRAMES_MS)
        await rig.clock.advance(60_000)

        assert {BTC[0]: Liveness.BLIND, ETH[0]: Liveness.BLIND} == blind
        assert rig.states[2:] == [
            ("BTCUSDT", Liveness.BLIND),
            ("ETHUSDT", Liveness.BLIND),
            ("*", Liveness.GAP),
        ]
        assert rig.feed.reconnect_calls == []
        assert rig.exchange.questions == []


async def test_the_status_in_memory_is_that_of_the_stream_before_redis_has_it() -> None:
    """It does not wait for Redis; each change is told, and a gap is shown until it is over."""
    async with watching() as rig:
        assert rig.watch.status(BTC[0]) == rig.changes[0]
        rig.changed.clear()
        rig.status.unavailable = True
        rig.lost()
        await rig.clock.advance(CHECK_INTERVAL_MS)
        await rig.clock.advance(LAST_FRAMES_MS)
        blind, gaps = rig.watch.status(BTC[0]), rig.watch.shared()
        assert len(rig.changes) == 2, "nothing was written meanwhile"
        rig.status.unavailable = False
        await rig.clock.advance(5_000)

        assert rig.changed == [BTC[0], ETH[0]]
        assert blind == rig.changes[2]
        assert blind is not None
        assert blind.state is Liveness.BLIND
        assert gaps == [rig.changes[4]]
        rig.opened()
        rig.deliver(*KEYS)
        await rig.clock.advance(CHECK_INTERVAL_MS)
        assert rig.watch.shared() == []
        assert rig.watch.status(BTC[0]) == rig.changes[6]


async def test_an_instrument_of_a_late_connection_is_late() -> None:
    """Of which the stream has one entry for all."""
    async with watching() as rig:
        rig.changed.clear()
        for _ in range(8):
            await rig.clock.advance(500)
            now_ms = rig.clock.now_ms()
            late = [
                Quote(key[0], now_ms - 7_000, 100.0, 1.0, 100.5, 2.0, key[1], now_ms, now_ms, 7_000)
                for key in KEYS
            ]
            rig.watch.observe(late)
        await rig.clock.advance(500)

        assert rig.states[2:] == [("*", Liveness.LATE)]
        assert set(rig.changed) == {BTC[0], ETH[0]}
        assert rig.watch.status(BTC[0]) == rig.watch.status(ETH[0]) == rig.changes[2]


async def test_an_instrument_that_is_not_carried_has_no_status() -> None:
    """Before its first state, too."""
    async with watching() as rig:
        other = InstrumentId(Venue.PERP, Symbol("SOLUSDT"))
        rig.watch.on_feed_event(ConnectionOpened("perp-1", Venue.PERP, ((other, BTC[1]),)))
        assert rig.watch.status(other) is None
        rig.deliver((other, BTC[1]))
        await rig.clock.advance(CHECK_INTERVAL_MS)
        shown = rig.watch.status(other)
        assert shown is not None
        assert shown.state is Liveness.LIVE
        rig.watch.on_feed_event(ConnectionOpened("perp-1", Venue.PERP, ()))

        assert rig.watch.status(other) is None


async def test_the_message_that_opens_a_connection_counts_for_its_stream() -> None:
    """An illiquid pair has delivered although its quote is a moment older than the opening."""
    async with watching() as rig:
        rig.lost()
        await rig.clock.advance(5_000)
        rig.deliver(BTC)
        await rig.clock.advance(30)
        rig.opened()
        await rig.clock.advance(CHECK_INTERVAL_MS)

        assert rig.watch.states() == {BTC[0]: Liveness.LIVE, ETH[0]: Liveness.BLIND}


async def silent_btc(rig: Rig, duration_ms: int) -> None:
    """ETH delivers, BTC is silent."""
    await rig.busy(duration_ms, [ETH])


async def test_calm_symbol_is_quiet_and_probed_at_intervals() -> None:
    """QUIET by its rhythm; the venue's book has not moved: that is how it stays."""
    async with watching() as rig:
        await silent_btc(rig, 4_000)
        early = list(rig.exchange.questions)
        await silent_btc(rig, 21_000)

        assert early == []
        assert rig.exchange.questions == [BTC[0]]
        assert rig.times[2:] == [(7_500, "BTCUSDT", Liveness.QUIET, 5_000)]
        assert rig.watch.counters.stale_probes == 0
        assert (rig.feed.renew_calls, rig.feed.reconnect_calls) == ([], [])
        await silent_btc(rig, PROBE_INTERVAL_MS)
        assert rig.exchange.questions == [BTC[0], BTC[0]]


async def test_changed_book_makes_a_symbol_stale_and_renews_its_connection() -> None:
    """STALE since its last update; a second probe within a minute is no second renewal."""
    async with watching() as rig:
        rig.exchange.book_tops[BTC[0]] = OTHER
        await silent_btc(rig, 7_000)
        assert rig.feed.renew_calls == [("perp-0", "perp/BTCUSDT is stale")]
        await silent_btc(rig, RENEWAL_PAUSE_MS - 10_000)
        assert (len(rig.exchange.questions), len(rig.feed.renew_calls)) == (2, 1)
        rig.deliver(BTC)
        await rig.clock.advance(CHECK_INTERVAL_MS)

        assert rig.states[2:] == [
            ("BTCUSDT", Liveness.QUIET),
            ("BTCUSDT", Liveness.STALE),
            ("BTCUSDT", Liveness.LIVE),
        ]
        assert rig.changes[3].since == START + 5_000
        assert rig.feed.reconnect_calls == []


async def test_update_during_a_probe_prevents_stale() -> None:
    """What the venue answered was on its way to us by the stream."""
    async with watching() as rig:
        rig.exchange.book_tops[BTC[0]] = OTHER
        await silent_btc(rig, 5_600)
        assert rig.exchange.questions == [BTC[0]]
        rig.deliver(BTC)
        await rig.busy(2 * STREAM_CATCH_UP_MS)

        assert Liveness.STALE not in {state for _, state in rig.states}
        assert rig.feed.renew_calls == []


@pytest.mark.parametrize(
    "refusal", [ExchangeUnavailableError("gone"), ExchangeRefusedError("no such symbol")]
)
async def test_failing_probe_does_not_delay_other_symbols(
    refusal: ChimeraError,
) -> None:
    """Without an answer it stays QUIET and is probed again only after a pause; others are probed
    meanwhile.
    """
    delisted, moving, speaking = (
        (InstrumentId(Venue.PERP, Symbol(name)), ETH[1]) for name in ("OLD", "ADAUSDT", "SOLUSDT")
    )
    three = (delisted, moving, speaking)
    async with watching() as rig:
        rig.watch.on_feed_event(ConnectionOpened("perp-1", Venue.PERP, three))
        rig.exchange.refused[delisted[0]] = refusal
        rig.exchange.book_tops[moving[0]] = OTHER
        rig.deliver(delisted)
        await rig.busy(200, [*KEYS, *three])
        await rig.busy(PROBE_INTERVAL_MS, [*KEYS, speaking])

        assert rig.exchange.questions == [delisted[0], moving[0]]
        assert rig.watch.states()[delisted[0]] is Liveness.QUIET
        assert rig.watch.states()[moving[0]] is Liveness.STALE
        assert rig.feed.renew_calls == [("perp-1", "perp/ADAUSDT is stale")]
        await rig.busy(PROBE_INTERVAL_MS, [*KEYS, speaking])
        assert rig.exchange.questions[2:] == [delisted[0], moving[0]]


async def test_slow_probe_does_not_hide_a_blind_connection() -> None:
    """Evaluation continues while a probe waits for its answer."""
    async with watching() as rig:
        rig.exchange.answers = anyio.Event()
        await silent_btc(rig, 6_000)
        assert rig.exchange.questions == [BTC[0]]
        await rig.clock.advance(4_000)

        assert rig.feed.reconnect_calls == [("perp-0", "no message for much longer than usual")]
        assert rig.exchange.questions == [BTC[0]], "one probe at a time"


@pytest.mark.parametrize("step_ms", [-HOUR_MS, HOUR_MS])
async def test_wall_clock_step_changes_no_state(step_ms: int) -> None:
    """Also when quotes from before the step are drained after it; entries use the new time."""
    async with watching() as rig:
        count = len(rig.changes)
        now_ms = rig.clock.now_ms()
        quotes = [
            Quote(key[0], now_ms, 100.0, 1.0, 100.5, 2.0, key[1], now_ms, now_ms) for key in KEYS
        ]
        rig.clock.step_wall_clock(step_ms)
        rig.watch.observe(quotes)
        await rig.busy(5_000)
        assert len(rig.changes) == count
        rig.lost()
        await rig.clock.advance(CHECK_INTERVAL_MS)

        blind = rig.changes[-1]
        assert (blind.ts, blind.since) == (START + 10_500 + step_ms, START + 10_000 + step_ms)
        assert rig.feed.reconnect_calls == []


async def test_venues_do_not_mix() -> None:
    """Another venue's quotes keep nothing alive here, its losses blind nothing."""
    async with watching() as rig:
        spot = (InstrumentId(Venue.SPOT, Symbol("BTCUSDT")), "binance.spot.bookTicker")
        rig.watch.on_feed_event(ConnectionOpened("spot-0", Venue.SPOT, (spot,)))
        rig.watch.on_feed_event(ConnectionLost("spot-0", Venue.SPOT, (spot,), "cut", 1, 1.0))
        rig.watch.on_feed_event(RoundTrip("perp-0", Venue.PERP, 1.0, 0.0))
        await rig.busy(3_000)
        assert rig.watch.states() == {BTC[0]: Liveness.LIVE, ETH[0]: Liveness.LIVE}
        await rig.busy(10_000, [spot])

        assert {venue for venue, _ in rig.status.changes} == {Venue.PERP}
        assert rig.watch.states() == {BTC[0]: Liveness.BLIND, ETH[0]: Liveness.BLIND}
        assert rig.feed.reconnect_calls == [("perp-0", "no message for much longer than usual")]


async def test_an_instrument_that_is_not_served_any_more_is_said_and_forgotten() -> None:
    """One last entry says why; nothing of it is kept, and the others go on."""
    cause = "delisted: the venue does not list it any more"
    async with watching() as rig:
        assert paths_to(rig.watch, BTC[0])
        rig.watch.on_feed_event(StreamsChanged("perp-0", Venue.PERP, (ETH,)))
        rig.watch.end([BTC[0]], cause)
        await rig.busy(1_000, [ETH])

        assert rig.states[-1] == ("BTCUSDT", Liveness.STALE)
        assert rig.changes[-1].cause == cause
        assert rig.changed[-1] == BTC[0]
        assert rig.watch.states() == {ETH[0]: Liveness.LIVE}
        assert rig.watch.status(BTC[0]) is None
        kept = paths_to(rig.watch, BTC[0])
        assert [path for path in kept if not path.startswith("._probes._exchange")] == []


async def test_nothing_of_a_closed_connection_is_kept() -> None:
    """Cures, times and refused messages: its name may be used again."""
    async with watching() as rig:
        rig.feed.counters.drop_unreadable("perp-0", "malformed")
        await rig.clock.advance(10_000)
        assert rig.feed.reconnect_calls
        rig.watch.on_feed_event(StreamsChanged("perp-0", Venue.PERP, ()))
        rig.watch.end([BTC[0], ETH[0]], "deselected")
        rig.feed.counters.forget_connection("perp-0")
        await rig.clock.advance(CHECK_INTERVAL_MS)

        assert rig.states[-1] == ("*", Liveness.RESUMED)
        # Its newest entry is LIVE; connections are numbered, so few names exist.
        assert paths_to(rig.watch, "perp-0") == ["._in_force._connections<key perp-0>"]
        assert rig.watch.report() == MarketReport(live=0, quiet=0, stale=0, blind=0)


async def test_a_market_that_is_closed_is_neither_probed_nor_reconnected() -> None:
    """TradFi contracts outside their session: QUIET, with the cause off_session."""
    closed: set[InstrumentId] = set()

    class Sessions:
        def is_open(self, instrument: InstrumentId, now_ms: int) -> bool:
            assert now_ms >= START
            return instrument not in closed

    rig = Rig(sessions=Sessions())
    async with watching(rig):
        closed |= {BTC[0], ETH[0]}
        await rig.clock.advance(HOUR_MS)

        assert rig.states[2:] == [("BTCUSDT", Liveness.QUIET), ("ETHUSDT", Liveness.QUIET)]
        assert all("off_session" in each.cause for each in rig.changes[2:])
        assert (rig.exchange.questions, rig.feed.reconnect_calls) == ([], [])
        assert rig.watch.report().quiet == 2
