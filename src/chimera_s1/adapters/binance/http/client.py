"""The HTTP client of Binance's REST hosts: every request of this package goes through it.

Reads reuse connections, and their failures are the errors of `domain.errors`. A request that must
not arrive twice goes through `send_once`, which returns what is known about it. Both name a
`RequestCall`, ask the weight budget of the host before they send, follow no redirect, ignore
proxies of the environment and leave as the venue's `Egress` says.
"""

import asyncio
from collections.abc import Callable, Mapping
from math import ceil, isfinite
from types import TracebackType
from typing import NoReturn, Self, TypeVar, assert_never

import anyio
import httpx2
import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.egress import Egress, HostNotAllowedError
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http import listen_key
from chimera_s1.adapters.binance.http.error_text import error_text
from chimera_s1.adapters.binance.http.listen_key import ListenKeyMethod
from chimera_s1.adapters.binance.http.reply_classification import (
    UNKNOWN_ORDER_CODES,
    UNKNOWN_SYMBOL_CODE,
    ClassifiedReply,
    ReplyBody,
    ReplyCategory,
    classify_reply,
    decode_body,
    is_client_error,
    sanitize,
)
from chimera_s1.adapters.binance.http.request_bytes import request_bytes
from chimera_s1.adapters.binance.http.signed_request import BinanceSignedRequest
from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encode_parameters
from chimera_s1.adapters.binance.http.single_use_connection import (
    HttpReply,
    ReplyBuffer,
    SingleUseConnection,
)
from chimera_s1.adapters.binance.http.single_use_connections import SingleUseConnections
from chimera_s1.adapters.binance.http.weight_budget import RATE_LIMITED_STATUSES, WeightBudget
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    RequestNotAdmittedError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_budget import RequestCall, Ticket
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope

READ_BYTES_MAX = 64 * 1024 * 1024
"""Far above the longest reply, an exchangeInfo of a few MB; decompressed."""

ONCE_BYTES_MAX = 65_536
"""Of the reply to a request that is sent once."""

_NOT_SENT_ERRORS = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
"""httpx2 raises these, and only these, before it has a connection to write to: name, TCP, TLS, or a
proxy that refuses a tunnel.
"""

_T = TypeVar("_T")


class HttpTimeouts(Struct, frozen=True, kw_only=True):
    """How long one request may take, s.

    Attributes:
        connect_s: For DNS, TCP and TLS; of a read, for TLS again.
        idle_s: Of a read, between two bytes.
        total_s: From the call to the last byte of the reply; more than the 10 s after which
            Binance itself gives up (SPOT errors.md, -1007).
    """

    connect_s: float = 4.0
    idle_s: float = 12.0
    total_s: float = 12.0

    def as_httpx(self) -> httpx2.Timeout:
        """Without `total_s`, which httpx2 does not know."""
        return httpx2.Timeout(self.idle_s, connect=self.connect_s)


READ_TIMEOUTS = HttpTimeouts(connect_s=10.0, idle_s=10.0, total_s=20.0)
_READ_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20)


class NotSent(Struct, frozen=True):
    """No byte of the request was sent."""

    cause: str


class NotAdmitted(Struct, frozen=True):
    """No byte of the request was sent: the host takes none for *wait_ms*, at least."""

    cause: str
    wait_ms: float


_NEVER_ROOM_WAIT_MS = 60_000
"""Where no wait makes room, because too many instances share the limit, their number may change."""


def whole_wait_ms(wait_ms: float) -> int:
    """Of `NotAdmitted`, finite."""
    return ceil(wait_ms) if isfinite(wait_ms) else _NEVER_ROOM_WAIT_MS


class NoReply(Struct, frozen=True):
    """The request may have arrived; no complete reply came."""

    cause: str


class UnknownSymbolError(ExchangeRefusedError):
    """-1121: the venue has no such symbol."""


class UnknownOrderError(ExchangeRefusedError):
    """-2013, and spot's -2018 (of an order list) and -2026: the venue shows no such order."""


class _ReadRequest(Struct, frozen=True):
    """It may be repeated; *label* names it in errors and shows no signature."""

    url: str
    query: bytes
    headers: Mapping[str, str]
    label: str
    method: str = "GET"

    def target(self) -> bytes:
        """Sent as it is; a query in the URL might be rewritten, and is logged."""
        path = httpx2.URL(self.url).raw_path
        return path + b"?" + self.query if self.query else path


class HttpClient:
    """One for each adapter; adapters that use the same hosts share *budgets*."""

    def __init__(
        self, endpoints: Mapping[Venue, Endpoints], budgets: Mapping[Venue, WeightBudget]
    ) -> None:
        self._endpoints = endpoints
        self._budgets = budgets
        # Made once: reading the certificates takes longer than a request. Honours SSL_CERT_FILE.
        self._ssl_context = httpx2.create_ssl_context()
        self._kept = {venue: self._open(venue) for venue in endpoints}
        self._single_use = {
            venue: SingleUseConnections(each, self._ssl_context, budgets[venue].blocked_ms)
            for venue, each in endpoints.items()
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._kept.values():
            await client.aclose()

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
        """The reply to a read, signed where there is a *signer*; *call* says what it spends.

        With *strict* off, numbers sent as strings are read as well.

        Raises:
            RequestNotAdmittedError: Not sent: the budget of the host has no room for it.
            ExchangeUnavailableError: No reply, or none that can be relied upon.
            ExchangeRefusedError: The key or the request is at fault; a retry will not help.
                `UnknownSymbolError` where it is the symbol, `UnknownOrderError` the order.
        """
        ticket = await self._admit_read(venue, path, call)
        try:
            # Signed after the wait for room: a timestamp ages.
            request = self._make_read(venue, path, parameters, signer)
        except ChimeraError:
            self._budgets[venue].give_back(ticket)
            raise
        body = await self._read_body(venue, request, ticket)
        return _decode(request.label, body, kind, strict=strict)

    async def call_listen_key(
        self, method: ListenKeyMethod, kind: type[_T], *, call: RequestCall, signer: Signer
    ) -> _T:
        """The futures' reply about the listen key of *signer*; sent without a signature.

        Raises:
            RequestNotAdmittedError, ExchangeUnavailableError, ExchangeRefusedError: As `get`.
        """
        ticket = await self._admit_read(Venue.PERP, listen_key.PATH, call)
        url = self._endpoints[Venue.PERP].rest_url + listen_key.PATH
        request = _ReadRequest(url, b"", signer.headers(), f"{method} {url}", method)
        body = await self._read_body(Venue.PERP, request, ticket)
        return _decode(request.label, body, kind, strict=True)

    async def send_once(
        self,
        venue: Venue,
        request: BinanceSignedRequest,
        *,
        timeouts: HttpTimeouts,
        obstacle: Callable[[], str],
    ) -> HttpReply | NotAdmitted | NotSent | NoReply:
        """Send *request* exactly once, on a connection that was never used and never will be again.

        *obstacle* is asked once the connection stands: if it says why not, or the host is held by
        then, no byte is sent. Only cancellation raises.

        Raises:
            RuntimeError: It was sent before.
        """
        text, target, budget = request.take_text(), request.target, self._budgets[venue]
        try:
            ticket = await budget.admit(target.call)
        except RequestNotAdmittedError as error:
            return NotAdmitted(str(error), error.wait_ms)
        buffer, endpoints = ReplyBuffer(ONCE_BYTES_MAX), self._endpoints[venue]
        ends_at = asyncio.get_running_loop().time() + timeouts.total_s
        try:
            connection = await self._connect(venue, timeouts)
            if isinstance(connection, NotSent):
                budget.give_back(ticket)
                return connection
            try:
                if cause := _obstacle_to(connection, obstacle, budget):
                    budget.give_back(ticket)
                    return NotSent(cause)
                connection.send(target.method, request_bytes(endpoints.rest_url, request, text))
                # Not before: to enter a scope takes longer than to write the request.
                with anyio.CancelScope(deadline=ends_at) as deadline:
                    cause = await _receive(connection, buffer, endpoints.egress)
            finally:
                connection.close()
            if deadline.cancelled_caught:
                cause = f"no complete reply within {timeouts.total_s:g} s"
        finally:
            budget.settle(ticket, buffer.status, buffer.headers)
        if not buffer.complete:
            return NoReply(f"{buffer.status} {cause}" if buffer.status else cause)
        reply = buffer.as_reply()
        self._classify(venue, reply, target.call.caller)
        return reply

    async def keep_ready(self, venue: Venue, count: int) -> NoReturn:
        """Keep *count* connections open for `send_once`, until cancelled."""
        await self._single_use[venue].keep_ready(count)

    def single_use(self, venue: Venue) -> SingleUseConnections:
        """For metrics."""
        return self._single_use[venue]

    async def _connect(self, venue: Venue, timeouts: HttpTimeouts) -> SingleUseConnection | NotSent:
        connections = self._single_use[venue]
        if (ready := connections.take_ready()) is not None:
            return ready
        try:
            with anyio.fail_after(timeouts.connect_s):
                return await connections.dial()
        except TimeoutError:
            egress = self._endpoints[venue].egress
            text = f"no connection within {timeouts.connect_s:g} s"
            return NotSent(egress.proxy_failure(text) if egress.proxy else text)
        except HostNotAllowedError as error:
            return NotSent(str(error))
        except Exception as error:  # noqa: BLE001 (of any library: nothing has been sent)
            return NotSent(error_text(error, self._endpoints[venue].egress))

    async def _admit_read(self, venue: Venue, path: str, call: RequestCall) -> Ticket:
        url = self._endpoints[venue].rest_url + path
        try:
            self._endpoints[venue].egress.check(url)
            return await self._budgets[venue].admit(call)
        except HostNotAllowedError as error:
            raise ExchangeRefusedError(f"{url}: {error}") from error
        except RequestNotAdmittedError as error:
            raise RequestNotAdmittedError(f"{url}: {error}", error.wait_ms) from error

    def _make_read(
        self, venue: Venue, path: str, parameters: Parameters, signer: Signer | None
    ) -> _ReadRequest:
        url = self._endpoints[venue].rest_url + path
        if signer is not None:
            return _ReadRequest(url, signer.sign_query(parameters), signer.headers(), url)
        query = encode_parameters(parameters)
        label = f"{url}?{query}" if query else url
        return _ReadRequest(url, query.encode("ascii"), {}, label)

    async def _read_body(self, venue: Venue, request: _ReadRequest, ticket: Ticket) -> bytes:
        """Of a 200; any other reply is raised as what it means."""
        reply = await self._read(venue, request, ticket)
        if reply.status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
            text = self._endpoints[venue].egress.proxy_failure("replied 407")
            raise ExchangeUnavailableError(f"{request.label}: {text}")
        if reply.status != httpx2.codes.OK:
            classified = self._classify(venue, reply, ticket.call.caller)
            if is_client_error(reply.status):
                if classified.code in UNKNOWN_ORDER_CODES[venue]:
                    raise UnknownOrderError(f"{request.label}: replied {classified.summary}")
                if not request.headers:
                    raise _public_error(request.label, classified)
            raise _read_error(request.label, classified)
        return reply.body

    async def _read(self, venue: Venue, request: _ReadRequest, ticket: Ticket) -> HttpReply:
        """Send *request*, and settle *ticket* whatever happens."""
        buffer = ReplyBuffer(READ_BYTES_MAX)
        try:
            with anyio.fail_after(READ_TIMEOUTS.total_s):
                async with self._kept[venue].stream(
                    request.method,
                    request.url,
                    headers=request.headers,
                    extensions={"target": request.target()},
                ) as reply:
                    await buffer.fill(reply)
        except TimeoutError as error:
            text = f"no reply within {READ_TIMEOUTS.total_s:g} s"
            raise ExchangeUnavailableError(f"{request.label}: {text}") from error
        except (httpx2.HTTPError, OSError) as error:
            if isinstance(error, _NOT_SENT_ERRORS):
                self._budgets[venue].give_back(ticket)
            text = error_text(error, self._endpoints[venue].egress)
            raise ExchangeUnavailableError(f"{request.label}: no reply: {text}") from error
        except httpx2.InvalidURL as error:
            self._budgets[venue].give_back(ticket)
            text = sanitize(str(error))
            raise ExchangeRefusedError(f"{request.label}: not a URL: {text}") from error
        finally:
            self._budgets[venue].settle(ticket, buffer.status, buffer.headers)
        return buffer.as_reply()

    def _classify(self, venue: Venue, reply: HttpReply, caller: str) -> ClassifiedReply:
        """The reply's class; a wait that its body or headers ask for holds the whole host."""
        body = decode_body(reply.body, ReplyBody)
        classified = classify_reply(reply.status, body, reply.headers)
        limited = classified.category is ReplyCategory.RATE_LIMITED
        budget, cause = self._budgets[venue], f"a request was answered {classified.summary}"
        # An overload concerns requests: sockets may be dialled meanwhile.
        scope = HoldScope.ALL if limited else HoldScope.REQUESTS
        reason = HoldReason.RATE_LIMITED if limited else HoldReason.OVERLOADED
        if classified.retry_after_ms > 0 and reply.status not in RATE_LIMITED_STATUSES:
            budget.complain(reason, caller)
        budget.block(classified.retry_after_ms, cause, scope, reason)
        if limited:
            budget.block_while_banned(reply.body, reply.headers, cause)
        return classified

    def _open(self, venue: Venue) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=self._ssl_context,
            timeout=READ_TIMEOUTS.as_httpx(),
            limits=_READ_LIMITS,
            follow_redirects=False,
            trust_env=False,
            proxy=self._endpoints[venue].egress.proxy_for_requests,
        )


def _obstacle_to(
    connection: SingleUseConnection, obstacle: Callable[[], str], budget: WeightBudget
) -> str:
    if cause := obstacle() or budget.hold_sentence():
        return cause
    return "" if connection.is_usable else "the connection ended before the request"


async def _receive(connection: SingleUseConnection, buffer: ReplyBuffer, egress: Egress) -> str:
    """Why the reply is not complete; without meaning where it is."""
    try:
        await connection.receive(buffer)
    except Exception as error:  # noqa: BLE001 (after any failure the request may have arrived)
        return error_text(error, egress)
    return ""


def _read_error(
    label: str, reply: ClassifiedReply
) -> ExchangeUnavailableError | ExchangeRefusedError:
    text = f"{label}: replied {reply.summary}"
    match reply.category:
        case ReplyCategory.REFUSED if reply.code == UNKNOWN_SYMBOL_CODE:
            return UnknownSymbolError(text)
        case ReplyCategory.FORBIDDEN | ReplyCategory.REFUSED:
            return ExchangeRefusedError(text)
        case ReplyCategory.RATE_LIMITED:
            wait_s = reply.retry_after_ms / 1000
            return ExchangeUnavailableError(f"{text}; no requests for {wait_s:.0f} s")
        case (
            ReplyCategory.SUCCEEDED
            | ReplyCategory.OVERLOADED
            | ReplyCategory.CLOCK_SUSPECT
            | ReplyCategory.UNKNOWN
        ):
            return ExchangeUnavailableError(text)
        case _:
            assert_never(reply.category)


def _public_error(
    label: str, reply: ClassifiedReply
) -> ExchangeUnavailableError | ExchangeRefusedError:
    """Of a 4xx without a key: an unknown one, like a firewall's 403, is about the request."""
    if reply.category is ReplyCategory.UNKNOWN:
        return ExchangeRefusedError(f"{label}: replied {reply.summary}")
    return _read_error(label, reply)


def _decode(label: str, body: bytes, kind: type[_T], *, strict: bool) -> _T:
    try:
        return msgspec.json.decode(body, type=kind, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A page of a proxy, or half a reply.
        text = sanitize(str(error))
        raise ExchangeUnavailableError(f"{label}: unexpected reply body: {text}") from error
