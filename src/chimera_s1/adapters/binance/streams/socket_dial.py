"""How a socket is dialled, and why it could not be opened or was closed, as text."""

import ssl

import anyio
from msgspec import Struct
from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSTransport,
    ws_connect,
)
from picows.picows import WSCloseHandshake
from python_socks import ProxyError

from chimera_s1.adapters.binance.egress import DIRECT, Egress, HostNotAllowedError
from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.adapters.binance.http.signing import MASK
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.read_pacer import limit_receive_buffer

HANDSHAKE_TIMEOUT_S = 5.0
DIAL_TIMEOUT_S = 10.0
"""For name, TCP, proxy, TLS and handshake together."""

FRAME_BYTES_MAX = 16 * 1024 * 1024

_UNSENDABLE_CODES = (WSCloseCode.NO_INFO, WSCloseCode.ABNORMAL_CLOSURE)
"""They mean that no code came, and must not be sent (RFC 6455, 7.4.1)."""


class SocketEnded(Exception):  # noqa: N818 (an end is not always an error)
    """The socket is closed or must be closed; the text is the cause."""


class SocketAddress(Struct, frozen=True):
    """Attributes:
    secret: The part of *url* that no log, error or trace may show; empty without one.
    """

    url: str
    egress: Egress = DIRECT
    secret: str = ""

    def mask(self, text: str) -> str:
        return text.replace(self.secret, MASK) if self.secret else text

    def __repr__(self) -> str:
        return f"<socket address {self.mask(self.url)}>"


async def dial(
    listener: WSListener, address: SocketAddress, gate: DialGate, name: str
) -> WSTransport:
    """Open a socket, called *name* in logs, for which *gate* has admitted a dial.

    Raises:
        SocketEnded: The dial failed; a limit that the venue named is noted.
    """
    egress, shown = address.egress, address.mask(address.url)
    try:
        egress.check(address.url)
        with anyio.fail_after(DIAL_TIMEOUT_S):
            transport, _ = await ws_connect(
                lambda: listener,
                address.url,
                websocket_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                max_frame_size=FRAME_BYTES_MAX,
                # picows would answer a ping itself and end a batch without a callback.
                enable_auto_pong=False,
                max_redirects=0,
                proxy=egress.proxy_for_sockets,
                logger_name=name,
            )
        limit_receive_buffer(transport.underlying_transport)
    except WSInvalidStatusError as error:
        cause = address.mask(_refused_upgrade(error, gate))
        raise SocketEnded(f"cannot connect to {shown}: {cause}".rstrip()) from None
    except (OSError, TimeoutError, WSError, ProxyError, HostNotAllowedError) as error:
        cause = address.mask(_dial_error(error, egress))
        raise SocketEnded(f"cannot connect to {shown}: {cause}") from None
    return transport


async def wait_until_closed(transport: WSTransport) -> str:
    """The cause of its end."""
    try:
        await transport.wait_disconnected()
    except WSError as error:
        return f"WebSocket protocol error: {error.args[-1]}"
    return _close_cause(transport)


def answer_close(transport: WSTransport, frame: WSFrame, gate: DialGate) -> None:
    """Close the socket as the venue's close *frame* asks; its limits are noted."""
    code = frame.get_close_code()
    gate.record_close(code.value, frame.get_close_reason() or "")
    transport.send_close(WSCloseCode.OK if code in _UNSENDABLE_CODES else code)
    transport.disconnect()


def first_cause(group: BaseExceptionGroup[SocketEnded]) -> str:
    for error in group.exceptions:
        return first_cause(error) if isinstance(error, BaseExceptionGroup) else str(error)
    raise AssertionError("an exception group is never empty")


def _close_cause(transport: WSTransport) -> str:
    # None before a close frame, which the stub of picows does not declare.
    handshake: WSCloseHandshake | None = transport.close_handshake
    received = handshake.recv if handshake is not None else None
    if received is None:
        return "connection lost without a close frame"
    if received.code is WSCloseCode.NO_INFO:
        return "closed by the venue, no close code"
    reason = f" {received.reason}" if received.reason else ""
    return f"closed by the venue: {received.code.value}{reason}"


def _refused_upgrade(error: WSInvalidStatusError, gate: DialGate) -> str:
    """Why there is no socket, with the venue's own words."""
    reply, body = error.response, error.raw_body or b""
    if reply is None:
        return str(error)
    gate.record_refused_upgrade(reply.status, reply.headers, body)
    words = sanitize(body.decode("utf-8", "replace"))
    return f"refused with {reply.status.value} {words}"


def _dial_error(error: Exception, egress: Egress) -> str:
    late = f"no connection within {DIAL_TIMEOUT_S:g} s"
    text = str(error) or (late if isinstance(error, TimeoutError) else type(error).__name__)
    # Through a proxy, only it is connected to; TLS errors are the exchange's, timeouts of either.
    of_proxy = isinstance(error, OSError) and not isinstance(error, ssl.SSLError | TimeoutError)
    if isinstance(error, ProxyError) or (egress.proxy and of_proxy):
        return egress.proxy_failure(text)
    return text
