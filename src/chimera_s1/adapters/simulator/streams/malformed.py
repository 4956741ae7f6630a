"""Frames that violate the protocol, each in one way."""

from collections.abc import Callable
from typing import Any

import orjson

HUGE_BYTES = 5_000_000
_NOT_UTF8 = b"\xc3\x28\xff"


def malformed(variant: str, payload: bytes) -> bytes:
    """The malformed frame that replaces *payload*, a JSON object.

    | variant | frame |
    |---|---|
    | truncated | the first half |
    | json | an object with `=` for the first `:` |
    | types | every value is an object |
    | event | an unknown event |
    | nan, infinity | prices and quantities `"NaN"`, `"Infinity"` |
    | huge | the same book in 5 MB |
    | binary | a binary frame that is not text |
    | utf8 | a string that is not UTF-8 |
    | empty | nothing |
    """
    return _VARIANTS[variant](payload)


def replace_numbers(payload: bytes, change: Callable[[str], str]) -> bytes:
    """*payload* with every price and quantity of its book changed."""
    message: Any = orjson.loads(payload)
    for side in ("b", "a", "B", "A", "bids", "asks"):
        if side in message:
            message[side] = _changed(message[side], change)
    return orjson.dumps(message)


def _changed(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


def _wrong_types(payload: bytes) -> bytes:
    return orjson.dumps({key: {"is": "wrong"} for key in orjson.loads(payload)})


def _unknown_event(payload: bytes) -> bytes:
    message: Any = orjson.loads(payload)
    return orjson.dumps({"e": "neverHeardOf", "s": message.get("s", "")})


def _huge(payload: bytes) -> bytes:
    return b'{"pad":"%b",%b' % (b"x" * HUGE_BYTES, payload[1:])


_VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda payload: payload[: len(payload) // 2],
    "json": lambda payload: payload.replace(b":", b"=", 1),
    "types": _wrong_types,
    "event": _unknown_event,
    "nan": lambda payload: replace_numbers(payload, lambda _: "NaN"),
    "infinity": lambda payload: replace_numbers(payload, lambda _: "Infinity"),
    "huge": _huge,
    "binary": lambda payload: _NOT_UTF8 + payload,
    "utf8": lambda payload: payload.replace(b'"', b'"' + _NOT_UTF8, 1),
    "empty": lambda _: b"",
}
