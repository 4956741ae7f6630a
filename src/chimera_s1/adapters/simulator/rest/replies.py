"""Replies and errors in Binance's shapes."""

import orjson
from aiohttp import web

from chimera_s1.adapters.simulator.limits.limit_reply import LimitReply


class BinanceError(Exception):
    """Answered as `{"code":-1121,"msg":"Invalid symbol."}`."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def json_reply(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def error_reply(status: int, code: int, message: str) -> web.Response:
    return json_reply({"code": code, "msg": message}, status)


def limit_response(refusal: LimitReply) -> web.Response:
    return web.Response(
        body=refusal.body,
        status=refusal.status,
        headers=refusal.headers,
        content_type="application/json",
    )
