"""How Binance says that a limit was broken, to a request and to an upgrade alike."""

from http import HTTPStatus

import orjson
from msgspec import Struct, field

from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import FaultKind

_CODE = -1003


class LimitReply(Struct, frozen=True):
    """Status, headers and JSON body."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return orjson.dumps({"code": _CODE, "msg": self.message})


def limit_reply(action: FaultAction, now_ms: int) -> LimitReply:
    """The reply to what `rate-limit` or `ban` refuses at *now_ms*, exchange time.

    A ban is announced in the body only: some of Binance's hosts send no `Retry-After` with a 418.
    """
    if action.kind is FaultKind.BAN:
        until_ms = now_ms + action.number * 1000
        text = f"Way too much request weight used; IP banned until {until_ms}."
        return LimitReply(HTTPStatus.IM_A_TEAPOT, text)
    return LimitReply(
        HTTPStatus.TOO_MANY_REQUESTS, "Too many requests.", {"Retry-After": str(action.number)}
    )
