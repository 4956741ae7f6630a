"""How Binance says that a limit was broken, to a request and to an upgrade alike."""

from http import HTTPStatus

import orjson
from msgspec import Struct, field

TOO_MANY_REQUESTS = -1003
TOO_MANY_ORDERS = -1015


class LimitReply(Struct, frozen=True):
    """Status, headers and JSON body."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    code: int = TOO_MANY_REQUESTS

    @property
    def body(self) -> bytes:
        return orjson.dumps({"code": self.code, "msg": self.message})


def refused(message: str, retry_after_s: int, code: int = TOO_MANY_REQUESTS) -> LimitReply:
    headers = {"Retry-After": str(retry_after_s)}
    return LimitReply(HTTPStatus.TOO_MANY_REQUESTS, message, headers, code)


def banned(until_ms: int, retry_after_s: int | None = None) -> LimitReply:
    """The end of the ban is in the body; some of Binance's hosts send no `Retry-After` with it."""
    text = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return LimitReply(HTTPStatus.IM_A_TEAPOT, text, headers)
