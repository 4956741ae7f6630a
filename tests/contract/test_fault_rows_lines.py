"""Rows 58 and 61 of the fault matrix: connections that fall silent or are cut.

The feed is watched as in the service: what consumers see of the silence is part of the row.
"""

import socket
from typing import Any

import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.binance.streams import managed_connection, market_socket, ping_log
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.app.capabilities.market import probe_books, watch_liveness
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market import interruptions, liveness, shared_trouble
from chimera_s1.domain.market.liveness import Liveness
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FatalEnded,
    RoundTrip,
)
from tests.contract.feed_harness import CLOCK, QUICK_RECONNECT, SYMBOLS
from tests.contract.quote_invariants import check_alone, check_quotes
from tests.contract.watched_feed import watched_feed

BTC = InstrumentId(Venue.PERP, Symbol("BTCUSDT"))
DAY_MS = 86_400_000
POLICY = QUICK_RECONNECT


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    config = SimulatorConfig(symbols=SYMBOLS, rate=300.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of the service, at most a tenth as long."""
    for module, name, value in (
        (liveness, "FIRST_MESSAGE_TIMEOUT_MS", 2_000),
        (liveness, "QUIET_FLOOR_MS", 300),
        (liveness, "SUSPECT_FLOOR_MS", 600),
        (liveness, "BLIND_FLOOR_MS", 500),
        (liveness, "ACTIVE_FLOOR_MS", 200),
        (shared_trouble, "LATE_CONFIRM_MS", 200),
        (shared_trouble, "DEGRADED_CONFIRM_MS", 400),
        (interruptions, "LAST_FRAMES_MS", 100),
        (watch_liveness, "CHECK_INTERVAL_MS", 20),
        (probe_books, "STREAM_CATCH_UP_MS", 100),
        (managed_connection, "OVERLAP_MS", 600),
        (managed_connection, "RENEWAL_PAUSE_MS", 300),
        (market_socket, "FIRST_MESSAGE_TIMEOUT_S", 0.4),
        (market_socket, "PING_INTERVAL_MS", 400),
        (ping_log, "SILENT_PINGS_MAX", 2),
    ):
        monkeypatch.setattr(module, name, value)


async def test_row_58_a_stall_with_pings_answered_is_marked_blind_and_redialled(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """The socket is open, pings come back, no data: BLIND, a new dial after a wait with jitter (and
    again while it stays silent), GAP and RESUMED with the interval without data.
    """
    async with watched_feed(tasks, simulator) as each:
        stalled_from = len(each.events)
        await each.harness.inject_fault({"on": "ws:perp", "do": "stall", "for_ms": 86_400_000})
        await each.status.wait_for_states("BTCUSDT", Liveness.BLIND)
        last = max(quote.received_ms for quote in each.quotes)
        await each.wait_for(lambda: len(each.events_of(ConnectionLost)) >= 2)
        assert await each.harness.fired_counts() == [1]
        await each.harness.control.delete("/sim/faults")
        states = await each.status.wait_for_states("*", Liveness.GAP, Liveness.RESUMED)
        await each.status.wait_for_states("BTCUSDT", Liveness.LIVE)
        await check_quotes(each.harness.control, each.quotes)

    first_lost = each.events.index(each.events_of(ConnectionLost)[0])
    silence = each.events[stalled_from:first_lost]
    assert any(isinstance(event, RoundTrip) for event in silence), "pings were answered"
    causes = [lost.cause for lost in each.events_of(ConnectionLost)]
    assert causes[0] == "no message for much longer than usual"
    assert causes[1].startswith("no data within 0.4 s of subscribing")
    gap, resumed = states
    assert gap.since == resumed.since
    assert abs(gap.since - last) <= 1, "from the last quote on"
    assert not [q for q in each.quotes if gap.since + 1 < q.received_ms < resumed.ts - 20]
    for lost in each.events_of(ConnectionLost):
        steady = min(
            POLICY.backoff.max_wait_ms, POLICY.backoff.base_ms * 2 ** (lost.retry_count - 1)
        )
        assert steady <= lost.retry_in_ms < steady + POLICY.backoff.jitter_ms


async def test_row_58_a_socket_that_delivers_survives_late_pongs(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """Each pong comes after many further pings, while data flows: nothing is lost or dialled."""
    async with watched_feed(tasks, simulator) as each:
        await each.harness.inject_fault({"on": "ws:perp", "do": "late-pong:900"})
        await each.wait_for(lambda: any(event.rtt_ms >= 900 for event in each.events_of(RoundTrip)))
        assert await each.harness.fired_counts() == [1]
        dials = await each.dial_count()
        await check_quotes(each.harness.control, each.quotes)

    assert dials == 1
    assert each.events_of(ConnectionLost) == []
    assert {change.state for _, change in each.status.changes} == {Liveness.LIVE}


async def test_row_58_a_socket_without_data_is_given_twice_the_time_after_each_one(
    tasks: TaskGroup, simulator: SimulatorAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence of a calm market is no fault, and a new socket no cure for it."""
    monkeypatch.setattr(market_socket, "FIRST_MESSAGE_TIMEOUT_S", 0.05)

    def patient(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, policy=ReconnectPolicy(POLICY.backoff, 100))

    async with watched_feed(tasks, simulator, patient) as each:
        await each.harness.inject_fault({"on": "ws:perp", "do": "stall", "for_ms": 86_400_000})
        await each.wait_for(lambda: len(each.events_of(ConnectionLost)) >= 4)
        await each.harness.control.delete("/sim/faults")
        await each.wait_for(lambda: len(each.events_of(ConnectionOpened)) == 2)

    causes = [lost.cause.split(" of ")[0] for lost in each.events_of(ConnectionLost)]
    assert causes[1:4] == ["no data within 0.05 s", "no data within 0.1 s", "no data within 0.2 s"]


async def test_row_58_half_open_tcp_is_found_by_the_missing_sign_of_life(
    tasks: TaskGroup, simulator: SimulatorAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer is unreachable and TCP has not noticed: no data, no pong, no close.

    Data alone would not tell it from a calm market here.
    """
    monkeypatch.setattr(liveness, "BLIND_FLOOR_MS", 30_000)
    monkeypatch.setattr(liveness, "SUSPECT_FLOOR_MS", 30_000)
    async with watched_feed(tasks, simulator) as each:
        await each.harness.inject_fault({"on": "ws:perp", "do": "half-open"})
        await each.status.wait_for_states("*", Liveness.GAP, Liveness.RESUMED)
        await each.status.wait_for_states("BTCUSDT", Liveness.BLIND, Liveness.LIVE)
        assert await each.harness.fired_counts() == [1]
        await check_quotes(each.harness.control, each.quotes)

    (lost,) = each.events_of(ConnectionLost)
    assert lost.cause.endswith("not even a pong")
    assert each.harness.feed.counters.reconnects == 1


async def test_row_58_one_silent_symbol_is_stale_once_the_venue_shows_that_it_moves(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """QUIET first, then STALE by the REST reply; its connection is renewed, others continue."""
    async with watched_feed(tasks, simulator) as each:
        fault = {"on": "ws:perp:btcusdt@bookTicker", "do": "stall", "for_ms": 86_400_000}
        await each.harness.inject_fault(fault)
        states = await each.status.wait_for_states("BTCUSDT", Liveness.QUIET, Liveness.STALE)
        await each.wait_for(lambda: bool(each.events_of(ConnectionRenewed)))
        assert await each.harness.fired_counts() == [1]
        others = {i: state for i, state in each.watch.states().items() if i != BTC}
        await each.harness.control.delete("/sim/faults")
        await each.status.wait_for_states("BTCUSDT", Liveness.STALE, Liveness.LIVE)
        await check_quotes(each.harness.control, each.quotes)

    assert set(others.values()) == {Liveness.LIVE}
    assert each.events_of(ConnectionRenewed)[0].cause == "perp/BTCUSDT is stale"
    assert states[-1].since < states[-1].ts
    assert each.harness.feed.counters.reconnects == 0


@pytest.mark.parametrize(
    ("fault", "state", "says"),
    [
        ("late:7000", Liveness.LATE, "quotes arrive 7.0 s after their event"),
        ("crossed", Liveness.DEGRADED, "(crossed)"),
        ("malformed:types", Liveness.DEGRADED, "(malformed)"),
        ("malformed:binary", Liveness.DEGRADED, "(not_text)"),
    ],
)
async def test_row_58_what_is_wrong_with_a_whole_venue_is_said_once_for_all(
    tasks: TaskGroup, simulator: SimulatorAddresses, fault: str, state: Liveness, says: str
) -> None:
    """One entry, no instrument quiet or stale, no socket given up; and one when it is over."""
    async with watched_feed(tasks, simulator) as each:
        await each.status.wait_for_states("*", Liveness.LIVE)
        before = len(each.status.changes)
        await each.harness.inject_fault({"on": "ws:perp", "do": fault, "times": 1_000_000})
        (said,) = await each.status.wait_for_states("*", state)
        states = set(each.watch.states().values())
        sentence = each.watch.report().sentence
        assert (await each.harness.fired_counts())[0] > 0
        await each.harness.control.delete("/sim/faults")
        await each.status.wait_for_states("*", state, Liveness.LIVE)
        changes = [change for _, change in each.status.changes[before:]]

    assert said.cause.startswith("perp-0: ")
    assert said.cause.endswith(says)
    assert states == {state}
    assert says in sentence
    assert [(change.symbol, change.state) for change in changes[:2]] == [
        ("*", state),
        ("*", Liveness.LIVE),
    ]
    assert each.events_of(ConnectionLost) == []


@pytest.mark.parametrize(
    ("status", "says"),
    [(None, "the venue does not list it any more"), ("SETTLING", "lists it as not trading")],
)
async def test_row_58_a_symbol_that_the_venue_does_not_trade_any_more_is_named_as_gone(
    tasks: TaskGroup,
    simulator: SimulatorAddresses,
    status: str | None,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From REST and the listing; no socket is renewed for it, and it comes back by itself."""
    monkeypatch.setattr(probe_books, "LONG_SILENCE_MS", 500)
    async with watched_feed(tasks, simulator) as each:
        path = "/sim/symbols/perp/BTCUSDT"
        control = each.harness.control
        (await control.post(path, json={"status": status})).raise_for_status()
        states = await each.status.wait_for_states("BTCUSDT", Liveness.QUIET, Liveness.STALE)
        report = each.watch.report()
        (await control.post(path, json={"status": "TRADING"})).raise_for_status()
        await each.status.wait_for_states("BTCUSDT", Liveness.STALE, Liveness.LIVE)

    assert says in states[-1].cause
    assert report.gone == ("BTCUSDT",)
    assert (report.live, report.stale) == (2, 0)
    assert each.watch.report().gone == ()
    assert each.events_of(ConnectionRenewed) == []
    assert each.events_of(ConnectionLost) == []


async def test_row_61_the_24_h_cut_is_followed_by_one_dial(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """Where no renewal came first: close 1001, one wait, one new socket, marked."""
    async with watched_feed(tasks, simulator, venue=Venue.SPOT) as each:
        (
            await each.harness.control.post("/sim/clock", json={"offset_ms": DAY_MS})
        ).raise_for_status()
        await each.status.wait_for_states("*", Liveness.GAP, Liveness.RESUMED)
        await each.status.wait_for_states("BTCUSDT", Liveness.BLIND, Liveness.LIVE)
        status = (await each.harness.control.get("/sim/status")).json()
        await check_quotes(each.harness.control, each.quotes)

    assert [lost.cause for lost in each.events_of(ConnectionLost)] == ["closed by the venue: 1001"]
    assert status["venues"]["spot"]["connections_opened"] == 2


async def test_row_61_a_renewed_socket_is_closed_before_the_cut(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """The sockets overlap, so the 24 h cut causes no gap."""

    def young(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, renew_after_ms=300)

    async with watched_feed(tasks, simulator, young, Venue.SPOT) as each:
        nearly = {"offset_ms": DAY_MS - 60_000}
        (await each.harness.control.post("/sim/clock", json=nearly)).raise_for_status()
        await each.wait_for(lambda: bool(each.events_of(ConnectionRenewed)))
        over = {"offset_ms": DAY_MS + 60_000}
        (await each.harness.control.post("/sim/clock", json=over)).raise_for_status()
        await each.wait_for(lambda: len(each.events_of(ConnectionRenewed)) >= 2)
        await check_quotes(each.harness.control, each.quotes)

    assert each.events_of(ConnectionLost) == []
    assert each.harness.feed.counters.reconnects == 0
    assert {change.state for _, change in each.status.changes} == {Liveness.LIVE}


async def test_row_61_closes_after_data_cause_no_dial_storm(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """One dial more than closes, and waits that grow although every socket has delivered data."""
    closes = POLICY.retries_max

    def never_healthy(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, policy=structs.replace(POLICY, healthy_ms=DAY_MS))

    async with watched_feed(tasks, simulator, never_healthy) as each:
        fault = {"on": "ws:perp", "do": "close-after-data:1001", "times": closes}
        await each.harness.inject_fault(fault)
        await each.wait_for(lambda: len(each.events_of(ConnectionOpened)) == closes + 1)
        assert await each.harness.fired_counts() == [closes]
        dials = await each.dial_count()
        check_alone(each.quotes)

    lost = each.events_of(ConnectionLost)
    assert dials == closes + 1
    assert {event.cause for event in lost} == {"closed by the venue: 1001"}
    assert [event.retry_count for event in lost] == list(range(1, closes + 1))
    steady = [POLICY.backoff.wait_ms(number, 0.0) for number in range(closes)]
    jitters = [event.retry_in_ms - wait for event, wait in zip(lost, steady, strict=True)]
    assert all(0 <= jitter < POLICY.backoff.jitter_ms for jitter in jitters)


async def test_row_61_a_venue_that_refuses_is_dialled_with_growing_waits(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """Waits double up to the cap, then FATAL and the scan; each refusal is one dial."""
    policy, refusals = ReconnectPolicy(Backoff(10, 35, 10), 5, scan_ms=50), 8

    def capped(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, policy=policy)

    async with watched_feed(tasks, simulator, capped) as each:
        await each.harness.inject_fault({"on": "ws:perp", "do": "refuse:503", "times": refusals})
        await each.harness.inject_fault({"on": "ws:perp", "do": "disconnect"})
        await each.wait_for(lambda: bool(each.events_of(FatalEnded)))
        fired, dials = await each.harness.fired_counts(), await each.dial_count()
        check_alone(each.quotes)

    waits = [event.retry_in_ms for event in each.events_of(ConnectionLost)]
    jitters = [wait - steady for wait, steady in zip(waits, [10, 20, 35, 35, 35], strict=False)]
    assert (fired, dials) == ([refusals, 1], 2)
    assert all(0 <= jitter < policy.backoff.jitter_ms for jitter in jitters)
    assert len(set(jitters)) > 1
    assert waits[policy.retries_max :] == [policy.scan_ms] * 3
    (fatal,) = each.events_of(ConnectionFatal)
    assert fatal.retry_count == policy.retries_max + 1
    assert len(each.events_of(FatalEnded)) == 1


async def test_row_61_a_name_that_does_not_resolve_is_a_failed_dial(
    tasks: TaskGroup, simulator: SimulatorAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS fails for two dials, then resolves."""
    resolve, failures = socket.getaddrinfo, 2
    asked: list[object] = []

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        if host not in {"exchange.test", b"exchange.test"}:
            return resolve(host, *rest, **named)
        asked.append(host)
        if len(asked) <= failures:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve("127.0.0.1", *rest, **named)

    def by_name(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, ws_url=usual.ws_url.replace("127.0.0.1", "exchange.test"))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with watched_feed(tasks, simulator, by_name) as each:
        check_alone(each.quotes)

    assert len(asked) == failures + 1
    lost = each.events_of(ConnectionLost)
    assert [event.retry_count for event in lost] == [1, 2]
    assert all("Temporary failure in name resolution" in event.cause for event in lost)
