"""The environment of the seeded model of orders: both desks of the simulator with its REST routes
and its events, in process, behind connections that lose, delay and repeat.

`DeskClient` stands where `HttpClient` stands, so the gateway, the reads of the account and the
parsers are the service's own.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import anyio
import httpx2
import msgspec
import orjson
from aiohttp import web
from anyio.abc import TaskGroup
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.binance.http.client import (
    HttpTimeouts,
    NoReply,
    NotAdmitted,
    NotSent,
    UnknownOrderError,
)
from chimera_s1.adapters.binance.http.reply_classification import UNKNOWN_ORDER_CODES
from chimera_s1.adapters.binance.http.signed_request import BinanceSignedRequest, Method
from chimera_s1.adapters.binance.http.signing import Parameters, Signer
from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.user_stream.event_reading import ReadEvent, read_event
from chimera_s1.adapters.binance.user_stream.perp_events import PERP_EVENTS
from chimera_s1.adapters.binance.user_stream.spot_events import SPOT_EVENTS
from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import Movement, WalletName
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.events import PerpEvent, SpotEvent
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.perp_account import PerpAccountRoutes
from chimera_s1.adapters.simulator.rest.perp_algo_orders import PerpAlgoOrderRoutes
from chimera_s1.adapters.simulator.rest.perp_orders import PerpOrderRoutes
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route
from chimera_s1.adapters.simulator.rest.spot_account import SpotAccountRoutes
from chimera_s1.adapters.simulator.rest.spot_order_lists import SpotOrderListRoutes
from chimera_s1.adapters.simulator.rest.spot_orders import SpotOrderRoutes
from chimera_s1.adapters.simulator.streams.perp_user_events import PerpUserEvents
from chimera_s1.adapters.simulator.streams.spot_order_events import user_event
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ledger.commit import Commit, LedgerHead
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.account_stream import StreamResumed
from chimera_s1.domain.ports.event_store import AppendResult
from chimera_s1.domain.ports.order_events import PublishedEvent
from tests.fakes.account_stream import FakeAccountStream
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.order_events import MemoryOrderEvents
from tests.load.model_exchange import Crash
from tests.virtual_time import LoopClock

SYMBOL = "BTCUSDT"
WAY_MS, BACK_MS, EVENT_MS = 10, 10, 15
LATE_EXECUTION_MS = 60_000
_READERS: Mapping[Venue, Mapping[str, ReadEvent]] = {
    Venue.SPOT: SPOT_EVENTS,
    Venue.PERP: PERP_EVENTS,
}
_T = TypeVar("_T")


class Fault(StrEnum):
    """What goes wrong with one request, once."""

    NONE = "none"
    NOT_SENT = "no connection"
    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"
    EXECUTED_LATE = "503, executed a minute later"
    TURNED_AWAY = "turned away by a rate limit"
    SLOW_WAY = "arrived late, and still in time"
    TOO_LATE = "arrived too late"
    SLOW_REPLY = "reply after the events"


class Trouble(StrEnum):
    """What else goes wrong, as it is counted where it has its effect."""

    EVENT_LOST = "event lost"
    EVENT_TWICE = "event delivered twice"
    EVENT_LATE = "event overtaken by later ones"
    STREAM_DEAF = "event of a deaf stream lost"
    STREAM_CUT = "event lost while the stream was cut"
    HIDDEN = "order not visible to a query yet"
    READ_FAILED = "read failed"
    APPEND_UNCERTAIN = "append written, reply lost"
    STORE_DOWN = "store unavailable"
    PUBLISH_FAILED = "orders:executed unavailable"
    CRASH = "process killed"
    CRASH_WHILE_SENDING = "process killed with a request under way"
    FOREIGN_FILL = "trade of a foreign order"
    FOREIGN_CANCEL = "order of ours cancelled by others"
    FOREIGN_WITH_OUR_PREFIX = "foreign order with our prefix"
    ID_USED_AGAIN = "foreign order with the id of an ended order of ours"
    TRIGGERED = "algo order triggered"
    REPLIES_SWAPPED = "reply overtaken by the reply to a later request"
    FILL_BEFORE_REPLY = "fill before the acknowledgement"


class ModelProcess:
    """One process; after a crash every call to its ports raises `Crash`.

    Attributes:
        steps_left: It crashes after so many more calls of its ports; None: it does not.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self.crashed = False
        self.steps_left: int | None = None
        self.sending = 0
        self._counts = counts

    def raise_if_crashed(self) -> None:
        """A step of the process: before and after each call of a port."""
        if not self.crashed and self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                self.crashed = True
                self._counts[Trouble.CRASH] += 1
                self._counts[Trouble.CRASH_WHILE_SENDING] += bool(self.sending)
        if self.crashed:
            raise Crash


class ModelStore(FaultyEventStore):
    """The store of the ledger, as one process reaches it."""

    def __init__(self, contents: LedgerContents, counts: Counter[str]) -> None:
        super().__init__("execution", contents)
        self._counts = counts

    async def append(self, commit: Commit) -> AppendResult:
        self._counts[Trouble.APPEND_UNCERTAIN] += bool(self.replies_to_lose)
        return await super().append(commit)

    async def head(self) -> LedgerHead:
        self._counts[Trouble.STORE_DOWN] += self.unavailable
        return await super().head()


class ModelOrderEvents(MemoryOrderEvents):
    """The streams of the execution ledger."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    async def publish(self, event: PublishedEvent) -> RelayedEntry:
        self._counts[Trouble.PUBLISH_FAILED] += self.unavailable
        return await super().publish(event)


class _TrustingAuthenticator:
    """Every request is signed by the account's key; its parameters come with it."""

    async def authenticate_reader(self, request: "_Request") -> Mapping[str, str]:
        return request.parameters

    authenticate_trader = authenticate_futures_trader = authenticate_reader


class _Request(Struct):
    parameters: Mapping[str, str]


class DeskExchange:
    """Attributes:
    counts: How often each fault and trouble had its effect.
    arrived: Requests that place an order, as they arrived, by client id.
    faults: Of the request that places this order.
    cancel_faults: Of the next cancels.
    executed_late: Client ids.
    """

    def __init__(self, clock: LoopClock, tasks: TaskGroup) -> None:
        self.local, self.tasks = clock, tasks
        self.clock = ScaledClock(clock.now_ms)
        self.counts: Counter[str] = Counter()
        self.arrived: Counter[str] = Counter()
        self.faults: dict[str, Fault] = {}
        self.cancel_faults: deque[Fault] = deque()
        self.executed_late: set[str] = set()
        self.reads_fail = False
        self.wires: list[Wire] = []
        self.behaviour = CurrentBehaviour()
        self.market = Market(build_symbols((SYMBOL, "BNBUSDT")), 1, self.clock.now_ms())
        wallets = {name: Decimal(10_000_000) for name in (WalletName.SPOT, WalletName.FUT)}
        account = Account(wallets, self.clock, _discard)
        self.spot = SpotDesk(self.market, self.clock, account, self.behaviour)
        self.perp = PerpDesk(self.market, self.clock, account, self.behaviour)
        self.spot.wallet.add("BTC", Decimal(1_000))
        self._perp_events = PerpUserEvents(self.market, self.perp.settings)
        self.spot.listen(self._spot_event)
        self.perp.listen(self._perp_event)
        self._handlers = {(each.method, each.path): each.handler for each in self._routes()}
        self._sent = self._replied = 0

    def symbol(self, venue: Venue) -> SymbolMarket:
        found = self.market.find(venue, SYMBOL)
        assert found is not None
        return found

    def advance(self) -> None:
        """Both desks see the books as they are now."""
        self.spot.advance()
        self.perp.advance()

    async def call(self, method: str, path: str, parameters: Mapping[str, str]) -> HttpReply:
        """As the simulator replies, at once."""
        request = cast(web.Request, _Request(parameters))
        try:
            reply = await self._handlers[method, path](request)
        except BinanceError as error:
            body = {"code": error.code, "msg": error.message}
            return _reply(error.status, orjson.dumps(body))
        return _reply(200, orjson.dumps(reply))

    async def hides(self, path: str, parameters: Mapping[str, str]) -> bool:
        """Whether a read that finds nothing would find it if queries did not lag."""
        behaviour = self.behaviour.value
        self.behaviour.value = replace(behaviour, query_lag_ms=0)
        reply = await self.call("GET", path, parameters)
        self.behaviour.value = behaviour
        return bool(reply.status == httpx2.codes.OK)

    async def handle(
        self, method: str, path: str, parameters: dict[str, str], answer: "_Answer", fault: Fault
    ) -> None:
        """A request that places or cancels, on its way to the exchange and back."""
        self._sent += 1
        number = self._sent
        way_ms = {Fault.SLOW_WAY: 1_500, Fault.TOO_LATE: 2_500}.get(fault, WAY_MS)
        await self.local.sleep_ms(way_ms)
        if fault in {Fault.REQUEST_LOST, Fault.TURNED_AWAY}:
            if fault is Fault.TURNED_AWAY:
                answer.give(_reply(429, b'{"code":-1003,"msg":"Too many requests."}'))
            return
        if fault is Fault.EXECUTED_LATE:
            answer.give(_reply(503, b"<html>503</html>"))
            self.executed_late.add(placed_id(parameters))
            await self.local.sleep_ms(LATE_EXECUTION_MS)
        elif self.clock.now_ms() > int(parameters["timestamp"]) + int(parameters["recvWindow"]):
            answer.give(_reply(400, b'{"code":-1021,"msg":"Outside of the recvWindow."}'))
            return
        reply = await self.call(method, path, _unsigned(parameters))
        if fault is Fault.REPLY_LOST:
            return
        await self.local.sleep_ms(1_500 if fault is Fault.SLOW_REPLY else BACK_MS)
        if method == Method.POST:
            self.counts[Trouble.FILL_BEFORE_REPLY] += self._said_a_fill(placed_id(parameters))
        self.counts[Trouble.REPLIES_SWAPPED] += number < self._replied
        self._replied = max(number, self._replied)
        answer.give(reply)

    def _said_a_fill(self, client_id: str) -> bool:
        said_ms = self.clock.now_ms() - EVENT_MS
        trades = (*self.spot.orders.trades(), *self.perp.orders.trades())
        return any(each.client_id == client_id and each.at_ms < said_ms for each in trades)

    def _spot_event(self, event: SpotEvent) -> None:
        self._say(Venue.SPOT, user_event(event, self.clock.now_ms()))

    def _perp_event(self, event: PerpEvent) -> None:
        for frame in self._perp_events.frames(event, self.clock.now_ms()):
            self._say(Venue.PERP, frame)

    def _say(self, venue: Venue, event: Mapping[str, Any]) -> None:
        for wire in tuple(self.wires):
            if wire.stream.venue is venue:
                wire.carry(orjson.dumps(event))

    def _routes(self) -> Iterator[Route]:
        trusting = cast(Authenticator, _TrustingAuthenticator())
        limits = RateLimits(self.clock, {})
        yield from SpotOrderRoutes(self.spot, trusting).routes()
        yield from SpotOrderListRoutes(self.spot, trusting).routes()
        yield from SpotAccountRoutes(self.spot, trusting, limits, self.clock).routes()
        perp, market, clock = self.perp, self.market, self.clock
        yield from PerpOrderRoutes(perp, market, trusting, limits, clock).routes()
        yield from PerpAlgoOrderRoutes(perp, market, trusting, clock).routes()
        yield from PerpAccountRoutes(perp, market, trusting, clock).routes()


class _Answer:
    def __init__(self) -> None:
        self.reply: HttpReply | None = None
        self.given = anyio.Event()

    def give(self, reply: HttpReply) -> None:
        self.reply = reply
        self.given.set()


class DeskClient:
    """In place of one process's `HttpClient`."""

    def __init__(self, exchange: DeskExchange, process: ModelProcess) -> None:
        self._exchange = exchange
        self._process = process

    async def get(
        self,
        venue: Venue,
        path: str,
        parameters: Parameters,
        kind: type[_T],
        *,
        call: RequestCall,
        signer: Signer | None = None,
        strict: bool = True,
    ) -> _T:
        del call, signer
        exchange = self._exchange
        self._process.raise_if_crashed()
        await exchange.local.sleep_ms(WAY_MS)
        if exchange.reads_fail:
            exchange.counts[Trouble.READ_FAILED] += 1
            raise ExchangeUnavailableError(f"GET {path}: no reply")
        reply = await exchange.call("GET", path, dict(parameters))
        await exchange.local.sleep_ms(BACK_MS)
        self._process.raise_if_crashed()
        if reply.status == httpx2.codes.OK:
            return msgspec.json.decode(reply.body, type=kind, strict=strict)
        if orjson.loads(reply.body)["code"] in UNKNOWN_ORDER_CODES[venue]:
            exchange.counts[Trouble.HIDDEN] += await exchange.hides(path, dict(parameters))
            raise UnknownOrderError(f"GET {path}: {reply.body!r}")
        raise ExchangeRefusedError(f"GET {path}: {reply.body!r}")

    async def send_once(
        self,
        venue: Venue,
        request: BinanceSignedRequest,
        *,
        timeouts: HttpTimeouts,
        obstacle: Callable[[], str],
    ) -> HttpReply | NotAdmitted | NotSent | NoReply:
        del venue
        exchange, target = self._exchange, request.target
        self._process.raise_if_crashed()
        text = request.take_text()
        parameters = dict(parse_qsl(text.decode()))
        fault = self._fault(target.method, parameters)
        await exchange.local.sleep_ms(1)
        if cause := obstacle():
            return NotSent(cause)
        if fault is not Fault.NONE:
            exchange.counts[fault] += 1
        if fault is Fault.NOT_SENT:
            return NotSent("connection refused")
        if target.method is Method.POST:
            exchange.arrived[placed_id(parameters)] += 1
        answer = _Answer()
        exchange.tasks.start_soon(
            exchange.handle, str(target.method), target.path, parameters, answer, fault
        )
        self._process.sending += 1
        try:
            self._process.raise_if_crashed()
            with anyio.move_on_after(timeouts.total_s):
                await answer.given.wait()
            self._process.raise_if_crashed()
        finally:
            self._process.sending -= 1
        return answer.reply or NoReply(f"no complete reply within {timeouts.total_s:g} s")

    def _fault(self, method: Method, parameters: Mapping[str, str]) -> Fault:
        exchange = self._exchange
        if method is Method.POST:
            return exchange.faults.pop(placed_id(parameters), Fault.NONE)
        return exchange.cancel_faults.popleft() if exchange.cancel_faults else Fault.NONE


class ModelStream(FakeAccountStream):
    """Attributes:
    deaf: It is connected, and delivers nothing until it is connected again.
    """

    def __init__(self, venue: Venue, clock: LoopClock) -> None:
        super().__init__(venue, clock.now_ms)
        self.deaf = False

    @property
    def is_running(self) -> bool:
        return self._deliver is not None

    def connect(self) -> None:
        self.deaf = False
        super().connect()

    def said(self, payload: bytes) -> None:
        event = read_event(payload, _READERS[self.venue])
        assert event.known, event.name
        assert not event.problem, event.problem
        if event.reports:
            self.send(*(each for each in event.reports if not isinstance(each, StreamResumed)))


class Wire:
    """From the exchange to one private stream of one process.

    Attributes:
        lose, repeat, delay: So many of the next events are lost, come twice, come late.
        is_cut: The connection is interrupted.
    """

    def __init__(self, exchange: DeskExchange, stream: ModelStream) -> None:
        self.stream = stream
        self.lose = self.repeat = self.delay = 0
        self.is_cut = False
        self._exchange = exchange
        self._last_ms = 0.0

    def carry(self, payload: bytes) -> None:
        counts = self._exchange.counts
        if self.lose:
            self.lose -= 1
            counts[Trouble.EVENT_LOST] += 1
            return
        # In their order: a timer that is due at the same time may come first.
        now_ms = self._exchange.local.monotonic_ms()
        self._last_ms = max(self._last_ms + 0.001, now_ms + EVENT_MS)
        due_ms = self._last_ms
        if self.delay:
            self.delay -= 1
            counts[Trouble.EVENT_LATE] += 1
            due_ms += 3_000
        self._exchange.tasks.start_soon(self._deliver, payload, due_ms - now_ms)
        if self.repeat:
            self.repeat -= 1
            counts[Trouble.EVENT_TWICE] += 1
            self._exchange.tasks.start_soon(self._deliver, payload, due_ms - now_ms + 700)

    def cut(self) -> None:
        if self.stream.is_running and not self.is_cut:
            self.is_cut = True
            self.stream.disconnect("reset by peer")

    def mend(self) -> None:
        if self.is_cut:
            self.is_cut = False
            if self.stream.is_running:
                self.stream.connect()

    async def _deliver(self, payload: bytes, wait_ms: float) -> None:
        await self._exchange.local.sleep_ms(wait_ms)
        if not self.stream.is_running:
            return
        if self.stream.deaf or self.is_cut:
            trouble = Trouble.STREAM_CUT if self.is_cut else Trouble.STREAM_DEAF
            self._exchange.counts[trouble] += 1
            return
        self.stream.said(payload)


def placed_id(parameters: Mapping[str, str]) -> str:
    """The client id in a request that places an order."""
    names = ("listClientOrderId", "clientAlgoId", "newClientOrderId")
    return next(parameters[name] for name in names if name in parameters)


def _unsigned(parameters: Mapping[str, str]) -> Mapping[str, str]:
    unsigned = {"timestamp", "recvWindow", "signature"}
    return {name: value for name, value in parameters.items() if name not in unsigned}


def _reply(status: int, body: bytes) -> HttpReply:
    return HttpReply(status, httpx2.Headers(), body)


def _discard(_: Movement) -> None:
    """No journal."""
