"""The private streams of both venues against the simulator: losses, deafness, keys and renewals."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from chimera_s1.adapters.binance.account_key import AccountKey
from chimera_s1.adapters.binance.egress import DIRECT
from chimera_s1.adapters.binance.endpoints import Endpoints, simulated_ws_api_url
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.streams import managed_connection
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.user_stream import private_socket
from chimera_s1.adapters.binance.user_stream.listen_key import (
    BinanceListenKeyRequests,
    ListenKeyRequests,
)
from chimera_s1.adapters.binance.user_stream.perp_stream import PerpAccountStream, UrlForm
from chimera_s1.adapters.binance.user_stream.private_connection import (
    RENEW_AFTER_MS,
    SILENCE_MAX_MS,
    StreamSetup,
)
from chimera_s1.adapters.binance.user_stream.spot_stream import SpotAccountStream
from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from chimera_s1.adapters.simulator.streams.listen_keys import VALIDITY_MS
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dial_budget import DialLimit
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.account_stream import (
    AccountChanged,
    AccountStream,
    StreamCondition,
    StreamEvent,
    StreamResumed,
)
from tests.contract.signed_client import Account, running_simulator
from tests.simulator_client import simulator_client
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
POLICY = ReconnectPolicy(Backoff(base_ms=10, max_wait_ms=10, jitter_ms=0), healthy_ms=60_000)
CHANGED = AccountChanged(what="balance of USDT")
LISTEN_KEY = "/fapi/v1/listenKey"


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with running_simulator(SimulatorConfig(symbols=1)) as urls:
        yield urls


@pytest.fixture
async def account(urls: dict[str, str]) -> AsyncIterator[Account]:
    async with simulator_client(urls) as sim:
        account = Account(sim)
        await account.move_clock(0)
        await sim.control("DELETE", "/sim/faults")
        yield account


class Watched:
    """A stream that is followed, and everything it has delivered.

    Attributes:
        reported: Kinds of operations events.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.gate = DialGate(CLOCK, VenueHold(), DialLimit(1_000, 1, spacing_ms=0))
        self.events: list[StreamEvent] = []
        self.reported: list[str] = []
        self.stream: AccountStream
        self._delivered = anyio.Event()

    def setup(self, renew_after_ms: int = RENEW_AFTER_MS) -> StreamSetup:
        return StreamSetup(
            clock=CLOCK,
            gate=self.gate,
            draw=lambda: 0.0,
            report=lambda kind, _: self.reported.append(kind),
            policy=POLICY,
            renew_after_ms=renew_after_ms,
        )

    def deliver(self, event: StreamEvent) -> None:
        self.events.append(event)
        self._delivered.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Until *reached*, which is looked at after each event."""
        with anyio.fail_after(TIMEOUT_S):
            while not reached():
                self._delivered = anyio.Event()
                await self._delivered.wait()

    @property
    def resumed(self) -> list[StreamResumed]:
        return [event for event in self.events if isinstance(event, StreamResumed)]

    async def until_resumed(self, times: int) -> StreamResumed:
        await self.until(lambda: len(self.resumed) >= times)
        return self.resumed[times - 1]

    async def hear_a_transfer(self) -> None:
        """Move money in the simulator, until the stream has said so."""
        before = self.events.count(CHANGED)
        status, reply = await self.account.transfer(amount="1")
        assert status == 200, reply
        await self.until(lambda: self.events.count(CHANGED) > before)


@asynccontextmanager
async def followed(watched: Watched) -> AsyncIterator[None]:
    """Its stream runs until the end of the block."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watched.stream.run, watched.deliver)
        yield
        tasks.cancel_scope.cancel()


def spot_endpoints(urls: dict[str, str]) -> Endpoints:
    ws_url = urls["spot_ws_url"]
    return Endpoints(urls["spot_rest_url"], ws_url, DIRECT, simulated_ws_api_url(ws_url))


def signer(secret: str = DEMO_KEY.secret) -> Signer:
    return Signer(Credentials(Secret(DEMO_KEY.key), Secret(secret)), CLOCK.now_ms)


@asynccontextmanager
async def spot(
    account: Account,
    *,
    signed_by: Callable[[], Signer] = signer,
    renew_after_ms: int = RENEW_AFTER_MS,
) -> AsyncIterator[Watched]:
    async def key() -> AccountKey:
        return AccountKey(signed_by(), "simulator:1")

    watched = Watched(account)
    watched.stream = SpotAccountStream(
        spot_endpoints(account.sim.urls), key, watched.setup(renew_after_ms)
    )
    async with followed(watched):
        yield watched


class NotedRequests:
    """Implements `ListenKeyRequests`: notes what was asked, and tells *on_reply*."""

    def __init__(self, requests: ListenKeyRequests, on_reply: Callable[[], None]) -> None:
        self.keys: list[str] = []
        self.extended = 0
        self._requests = requests
        self._on_reply = on_reply

    async def open(self) -> str:
        try:
            self.keys.append(await self._requests.open())
            return self.keys[-1]
        finally:
            self._on_reply()

    async def extend(self) -> str:
        try:
            key = await self._requests.extend()
            self.extended += 1
            return key
        finally:
            self._on_reply()


class WatchedPerp(Watched):
    stream: PerpAccountStream
    requests: NotedRequests

    def wake(self) -> None:
        self._delivered.set()


@asynccontextmanager
async def perp(account: Account, *, keep_alive_ms: int = 60_000) -> AsyncIterator[WatchedPerp]:
    async def key() -> AccountKey:
        return AccountKey(signer(), "simulator:1")

    urls = account.sim.urls
    endpoints = Endpoints(urls["perp_rest_url"], urls["perp_ws_url"])
    watched = WatchedPerp(account)
    async with HttpClient({Venue.PERP: endpoints}, weight_budgets(CLOCK)) as client:
        watched.requests = NotedRequests(BinanceListenKeyRequests(client, key), watched.wake)
        watched.stream = PerpAccountStream(
            endpoints, watched.requests, watched.setup(), keep_alive_ms
        )
        async with followed(watched):
            yield watched


async def expire_key(account: Account) -> None:
    account.offset_ms += VALIDITY_MS
    await account.move_clock(account.offset_ms)


async def test_the_first_event_asks_for_a_reconciliation_and_the_second_proves_the_stream(
    account: Account,
) -> None:
    async with spot(account) as watched:
        first = await watched.until_resumed(1)
        assert watched.stream.report().condition is StreamCondition.CONNECTED
        await watched.hear_a_transfer()

    assert first == StreamResumed(cause="start", missing_since_ms=0)
    assert watched.events[:2] == [first, CHANGED]


async def test_an_event_proves_the_stream_and_the_end_of_its_task_disconnects_it(
    account: Account,
) -> None:
    async with spot(account) as watched:
        await watched.until_resumed(1)
        await watched.hear_a_transfer()
        report = watched.stream.report()
        assert (report.condition, report.events, report.problem) == (
            StreamCondition.PROVEN,
            1,
            "",
        )
        assert report.last_event_ms >= report.since_ms

    assert watched.stream.report().condition is StreamCondition.DISCONNECTED
    assert watched.stream.report().problem == "stopped"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("disconnect", "connection lost without a close frame"),
        ("close:1001", "closed by the venue: 1001"),
        ("half-open", "nothing received for"),
        ("end-subscription", "the venue ended the subscription (eventStreamTerminated)"),
    ],
)
async def test_after_a_loss_spot_is_signed_again_and_reconciled(
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    cause: str,
) -> None:
    monkeypatch.setattr(private_socket, "PING_INTERVAL_MS", 50)
    async with spot(account) as watched:
        await watched.until_resumed(1)
        await watched.hear_a_transfer()
        last_event_ms = watched.stream.report().last_event_ms
        await account.sim.arm("user:spot", fault)
        resumed = await watched.until_resumed(2)
        assert resumed.cause.startswith(cause)
        assert resumed.missing_since_ms >= last_event_ms
        await watched.hear_a_transfer()

        assert await account.sim.fired() == [1]
        assert watched.stream.report().reconnects == 1


async def test_an_announced_shutdown_is_followed_by_a_new_subscription(account: Account) -> None:
    """The new socket takes over, or follows a loss; either way the account is reconciled."""
    async with spot(account) as watched:
        await watched.until_resumed(1)
        await account.sim.arm("user:spot", "shutdown")
        await watched.until_resumed(2)
        await watched.hear_a_transfer()

        assert await account.sim.fired() == [1]
        assert watched.gate.budget.total == 2


async def test_a_deaf_stream_that_is_renewed_hears_again_at_once(account: Account) -> None:
    """Nothing since it was connected is trusted; a wait of a minute would fail the test."""
    async with spot(account) as watched:
        await watched.until_resumed(1)
        await watched.hear_a_transfer()
        connected_ms = watched.stream.report().since_ms
        await account.sim.arm("user:spot", "silent")
        while await account.sim.fired() != [1]:
            pass
        watched.stream.renew("order s1-1 was filled 2 s ago")
        resumed = await watched.until_resumed(2)
        await watched.hear_a_transfer()

    assert resumed.cause == "order s1-1 was filled 2 s ago"
    assert resumed.missing_since_ms <= connected_ms


@pytest.mark.parametrize("kind", ["truncated", "json", "types", "binary", "utf8", "empty"])
async def test_a_message_that_cannot_be_read_asks_for_a_reconciliation(
    account: Account, kind: str
) -> None:
    async with spot(account) as watched:
        await watched.until_resumed(1)
        await account.sim.arm("user:spot:balanceUpdate", f"malformed:{kind}")
        status, _ = await account.transfer(amount="1")
        resumed = await watched.until_resumed(2)
        await watched.hear_a_transfer()

        assert status == 200
        assert await account.sim.fired() == [1]
    assert "cannot be read" in resumed.cause
    assert isinstance(watched.stream, SpotAccountStream)
    assert watched.stream.connection.unreadable == 1
    assert watched.reported == ["account_stream.unreadable"]


async def test_an_unknown_event_is_counted_and_reported_once(account: Account) -> None:
    async with spot(account) as watched:
        await watched.until_resumed(1)
        await account.sim.arm("user:spot:balanceUpdate", "malformed:event", times=2)
        for _ in range(2):
            await account.transfer(amount="1")
        await watched.hear_a_transfer()

        assert await account.sim.fired() == [2]
    assert isinstance(watched.stream, SpotAccountStream)
    assert watched.stream.connection.unknown.total() == 2
    assert watched.reported == ["account_stream.event_unknown"]
    assert len(watched.resumed) == 1


async def test_a_planned_renewal_overlaps_so_that_no_event_is_missed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transfers go on until one was heard twice: on the old and on the new connection."""
    monkeypatch.setattr(managed_connection, "OVERLAP_MS", 300)
    async with spot(account, renew_after_ms=200) as watched:
        await watched.until_resumed(1)
        transfers = 0
        while watched.events.count(CHANGED) <= transfers:
            await watched.hear_a_transfer()
            transfers += 1
        resumed = await watched.until_resumed(2)
        now_ms = CLOCK.now_ms()

        assert watched.stream.report().reconnects == 0
    assert resumed.cause == "renewed: near the venue's connection age limit"
    assert resumed.missing_since_ms <= now_ms - SILENCE_MAX_MS


async def test_a_refused_signature_is_shown_without_the_secret(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with spot(account, signed_by=lambda: signer("wrong")) as watched:
        await dialled(watched, 2)
        report = watched.stream.report()

    assert report.condition is StreamCondition.DISCONNECTED
    assert "was refused: 400 -1022 Signature for this request is not valid." in report.problem
    assert watched.events == []
    assert DEMO_KEY.key not in caplog.text


async def test_without_a_clock_nothing_is_dialled(account: Account) -> None:
    signed = anyio.Event()

    def uncertain() -> float:
        signed.set()
        raise ClockUncertainError("the exchange's clock is not known")

    credentials = Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret))
    async with spot(account, signed_by=lambda: Signer(credentials, uncertain)) as watched:
        with anyio.fail_after(TIMEOUT_S):
            await signed.wait()
        assert watched.gate.budget.total == 0


async def test_a_limit_that_the_reply_names_holds_every_dial_and_request(account: Account) -> None:
    await account.sim.control("POST", "/sim/limits", {"limits": {"spot.weight": 1}})
    try:
        async with spot(account) as watched:
            await dialled(watched, 1)
            with anyio.fail_after(TIMEOUT_S):
                while watched.gate.hold.current(CLOCK.monotonic_ms()) is None:
                    await anyio.lowlevel.checkpoint()
    finally:
        await account.sim.control("POST", "/sim/limits", {"limits": {"spot.weight": 6_000}})
        await account.sim.control("DELETE", "/sim/limits")

    hold = watched.gate.hold.last
    assert hold is not None
    assert hold.scope.holds_requests
    assert "answered 429" in hold.cause


async def dialled(watched: Watched, times: int) -> None:
    with anyio.fail_after(TIMEOUT_S):
        while watched.gate.budget.total < times:
            await anyio.lowlevel.checkpoint()


async def test_an_expired_key_is_replaced_at_once_and_reconciled(account: Account) -> None:
    """The simulator announces it with `E` as text, and keeps the socket open."""
    async with perp(account) as watched:
        await watched.until_resumed(1)
        await expire_key(account)
        resumed = await watched.until_resumed(2)
        first, second = watched.requests.keys

    assert resumed.cause == "the listenKey has expired"
    assert first != second


async def test_a_failed_keep_alive_is_shown_and_the_key_stays(account: Account) -> None:
    async with perp(account, keep_alive_ms=50) as watched:
        await account.sim.arm(f"PUT {LISTEN_KEY}", "code:-1125")
        await watched.until_resumed(1)
        await watched.until(lambda: watched.requests.extended >= 2)

        assert await account.sim.fired() == [1]
        assert len(watched.resumed) == 1
    first, second = watched.requests.keys
    assert first == second


async def test_a_key_that_was_replaced_behind_our_back_is_followed(account: Account) -> None:
    async with perp(account, keep_alive_ms=200) as watched:
        await watched.until_resumed(1)
        await account.send("DELETE", LISTEN_KEY)
        resumed = await watched.until_resumed(2)

    assert resumed.cause == "the exchange has another listenKey now"
    assert len(set(watched.requests.keys)) == 2


async def test_a_form_of_the_url_that_delivers_nothing_gives_way_to_the_other(
    account: Account,
) -> None:
    """The first event on the path form proves it."""
    async with perp(account) as watched:
        await watched.until_resumed(1)
        forms = [watched.stream.forms.current]
        watched.stream.renew("order s1-1 was filled 2 s ago")
        await watched.until_resumed(2)
        forms.append(watched.stream.forms.current)
        await expire_key(account)
        await watched.until_resumed(3)
        forms.append(watched.stream.forms.current)

    assert forms == [UrlForm.QUERY, UrlForm.PATH, UrlForm.PATH]


@pytest.mark.parametrize("fault", ["refuse:503", "disconnect"])
async def test_no_log_error_or_report_shows_a_listen_key(
    account: Account, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    async with perp(account) as watched:
        await watched.until_resumed(1)
        await account.sim.arm("user:perp", fault)
        if fault.startswith("refuse"):
            watched.stream.renew("a test")
        await watched.until_resumed(2)
        resumed = watched.resumed[1]

        assert await account.sim.fired() == [1]
    (key, *_) = watched.requests.keys
    assert key not in caplog.text
    assert key not in repr(resumed)


async def test_without_a_listen_key_the_problem_is_in_the_exchanges_words(account: Account) -> None:
    async with perp(account) as watched:
        await watched.until_resumed(1)
        await account.sim.arm(f"POST {LISTEN_KEY}", "code:-2015")
        watched.stream.renew("a test")
        await watched.until_resumed(2)

        assert await account.sim.fired() == [1]
    assert watched.gate.budget.total == 2
