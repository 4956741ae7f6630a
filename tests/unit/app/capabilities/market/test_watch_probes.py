"""Probing many silent streams: fair, inside the weight budget, and without repeating vain cures."""

from collections import Counter
from itertools import pairwise

import anyio

from chimera_s1.app.capabilities.market.probe_queue import (
    PROBE_SPACING_MS,
    PROBES_AT_ONCE,
    ProbeQueue,
)
from chimera_s1.app.capabilities.market.watch_liveness import (
    CHECK_INTERVAL_MS,
    HEALTHY_AFTER_MS,
    RENEWAL_PAUSE_MS,
)
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.health import MarketReport
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.market.liveness import Liveness
from chimera_s1.domain.market.probe_verdict import PROBE_INTERVAL_MS, ProbeVerdict
from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.ports.market_feed import ConnectionOpened
from tests.fakes.manual_clock import ManualClock
from tests.unit.app.capabilities.market.liveness_rig import (
    BTC,
    ETH,
    KEYS,
    OTHER,
    SAME,
    Rig,
    watching,
)

MINUTE_MS = 60_000
NO_SYMBOL = ExchangeRefusedError("GET /fapi/v1/depth: replied 400 -1121 Invalid symbol.")


def many(number: int) -> tuple[StreamKey, ...]:
    return tuple(
        (InstrumentId(Venue.PERP, Symbol(f"SIM{each:04}USDT")), BTC[1]) for each in range(number)
    )


def subscribe(rig: Rig, keys: tuple[StreamKey, ...]) -> None:
    """On a connection of their own, on which ETH's twin keeps delivering."""
    rig.watch.on_feed_event(ConnectionOpened("perp-1", Venue.PERP, keys))
    rig.exchange.book_tops |= {key[0]: SAME for key in keys}


async def test_fifty_suspects_are_all_probed_inside_the_budget() -> None:
    """Those that move are found though the first ones never come to an end; none waits for ever."""
    speaking, *silent = many(51)
    async with watching() as rig:
        subscribe(rig, (speaking, *silent))
        rig.deliver(*silent)
        for key in silent[40:]:
            rig.exchange.book_tops[key[0]] = OTHER
        await rig.long(20_000, [*KEYS, speaking])
        first_round = Counter(rig.exchange.questions)
        await rig.long(2 * PROBE_INTERVAL_MS, [*KEYS, speaking])

        assert set(first_round) == {key[0] for key in silent}
        assert max(first_round.values()) == 1
        stale = {i for i, state in rig.watch.states().items() if state is Liveness.STALE}
        assert stale == {key[0] for key in silent[40:]}
        allowed = 80_000 / PROBE_SPACING_MS
        assert len(rig.exchange.questions) <= allowed
        counts = Counter(rig.exchange.questions)
        assert max(counts.values()) - min(counts.values()) <= 1, "each has its turn"


async def test_answers_that_never_come_do_not_starve_the_others() -> None:
    """At most a few at once; while they wait, evaluation goes on."""
    speaking, *silent = many(31)
    async with watching() as rig:
        subscribe(rig, (speaking, *silent))
        rig.deliver(*silent)
        rig.exchange.answers = anyio.Event()
        await rig.long(12_000, [*KEYS, speaking])
        assert len(rig.exchange.questions) == PROBES_AT_ONCE
        rig.exchange.answers.set()
        await rig.long(15_000, [*KEYS, speaking])

        assert set(rig.exchange.questions) == {key[0] for key in silent}


async def test_a_venue_that_does_not_answer_is_left_alone_for_a_while() -> None:
    """One failure holds all probes, longer each time; every stream is probed once it is back."""
    speaking, *silent = many(31)
    async with watching() as rig:
        subscribe(rig, (speaking, *silent))
        rig.deliver(*silent)
        rig.exchange.error = ExchangeUnavailableError("rate limited for another 60 s")
        await rig.long(2 * MINUTE_MS, [*KEYS, speaking])
        asked_in_vain = len(rig.exchange.questions)
        rig.exchange.error = None
        await rig.long(2 * MINUTE_MS, [*KEYS, speaking])

        assert asked_in_vain <= 12
        assert set(rig.exchange.questions) == {key[0] for key in silent}
        assert {rig.watch.states()[key[0]] for key in silent} == {Liveness.QUIET}
        assert rig.feed.renew_calls == []


async def test_a_delisted_symbol_is_named_as_gone_and_costs_no_socket() -> None:
    """From REST and the listing: STALE with the reason, in health by name; no cure is tried."""
    async with watching() as rig:
        rig.exchange.refused[BTC[0]] = NO_SYMBOL
        rig.exchange.set_listings([Listing(ETH[0], "USDT", trading=True)])
        await rig.long(20 * MINUTE_MS, [ETH])

        assert rig.states[2:] == [("BTCUSDT", Liveness.QUIET), ("BTCUSDT", Liveness.STALE)]
        assert "gone: the venue does not list it any more" in rig.changes[-1].cause
        report = rig.watch.report()
        assert report == MarketReport(live=1, quiet=0, stale=0, blind=0, gone=("BTCUSDT",))
        assert rig.gone[BTC[0]].startswith("the venue does not list it any more")
        assert (rig.feed.renew_calls, rig.feed.reconnect_calls) == ([], [])
        assert len(rig.exchange.questions) <= 8, "ever less often, in the end every 5 minutes"

        rig.deliver(BTC)
        await rig.clock.advance(CHECK_INTERVAL_MS)
        assert rig.watch.report() == MarketReport(live=2, quiet=0, stale=0, blind=0)


async def test_gone_outlasts_a_reconnect() -> None:
    """A new socket does not list a symbol."""
    async with watching() as rig:
        rig.exchange.refused[BTC[0]] = NO_SYMBOL
        rig.exchange.set_listings([Listing(ETH[0], "USDT", trading=True)])
        await rig.long(20_000, [ETH])
        rig.lost()
        await rig.clock.advance(1_000)
        rig.opened()
        await rig.long(2_000, [ETH])
        assert rig.watch.report().gone == ("BTCUSDT",)


async def test_a_renewal_that_does_not_help_is_repeated_ever_less_often() -> None:
    """In 20 minutes one dead stream costs the others' connection 5 renewals, not 20."""
    async with watching() as rig:
        rig.exchange.book_tops[BTC[0]] = OTHER
        renewed: list[int] = []
        for minute in range(20):
            await rig.long(MINUTE_MS, [ETH])
            renewed += [minute] * (len(rig.feed.renew_calls) - len(renewed))

        pauses = [later - earlier for earlier, later in pairwise(renewed)]
        assert pauses == sorted(pauses)
        assert 4 <= len(renewed) <= 5
        assert rig.watch.states()[BTC[0]] is Liveness.STALE

        rig.deliver(BTC)
        await rig.long(10_000, KEYS)
        before = len(rig.feed.renew_calls)
        await rig.long(20_000, [ETH])
        assert len(rig.feed.renew_calls) == before + 1, "it was healthy: the cure comes at once"


async def test_many_dead_streams_share_their_renewals() -> None:
    """One renewal is an attempt for each of them, and they are a minute apart at least."""
    speaking, *silent = many(13)
    async with watching() as rig:
        subscribe(rig, (speaking, *silent))
        rig.deliver(*silent)
        for key in silent:
            rig.exchange.book_tops[key[0]] = OTHER
        await rig.long(RENEWAL_PAUSE_MS, [*KEYS, speaking])
        assert len(rig.feed.renew_calls) == 1
        await rig.long(9 * MINUTE_MS, [*KEYS, speaking])
        assert len(rig.feed.renew_calls) <= 5


async def test_a_connection_that_falls_silent_again_and_again_is_dialled_less_and_less() -> None:
    """At once the first time; later the wait doubles until it has been healthy for a minute."""
    async with watching() as rig:
        at_ms: list[float] = []
        for _ in range(120):
            dialled = len(rig.feed.reconnect_calls)
            await rig.clock.advance(1_000)
            if len(rig.feed.reconnect_calls) > dialled:
                at_ms.append(rig.clock.monotonic_ms())
                rig.opened()
                rig.deliver(*KEYS)
        pauses = [later - earlier for earlier, later in pairwise(at_ms)]
        assert pauses == sorted(pauses)
        assert len(at_ms) <= 7
        await rig.long(2 * HEALTHY_AFTER_MS)
        await rig.busy(5_000)
        dialled = len(rig.feed.reconnect_calls)
        await rig.clock.advance(5_000)
        assert len(rig.feed.reconnect_calls) == dialled + 1


async def test_an_empty_book_is_stale_but_costs_no_socket() -> None:
    async with watching() as rig:
        rig.exchange.book_tops[BTC[0]] = type(SAME)(0.0, 0.0, 0.0, 0.0, SAME.update_id)
        rig.exchange.set_listings([Listing(key[0], "USDT", trading=True) for key in KEYS])
        await rig.long(20_000, [ETH])

        assert rig.states[-1] == ("BTCUSDT", Liveness.STALE)
        assert "book is empty" in rig.changes[-1].cause
        assert rig.feed.renew_calls == []
        assert rig.watch.counters.probes == {ProbeVerdict.EMPTY: 1}


async def test_probes_that_fail_together_cause_one_hold() -> None:
    """The hold doubles with the next failure, up to a minute, and an answer ends it."""
    clock, waits = ManualClock(), []
    queue, keys = ProbeQueue(clock), many(1)

    async def wait_for_turn() -> None:
        started_ms = clock.monotonic_ms()
        while not queue.take(keys):
            await clock.advance(500)
        waits.append(clock.monotonic_ms() - started_ms)

    for _ in range(PROBES_AT_ONCE):
        await clock.advance(PROBE_SPACING_MS)
        assert queue.take(keys)
    for _ in range(PROBES_AT_ONCE):
        queue.finish(answered=False)
    await wait_for_turn()
    for answered in (False, False, False, False, False, False, True, False):
        queue.finish(answered=answered)
        await wait_for_turn()

    assert waits == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 500, 2_000]
