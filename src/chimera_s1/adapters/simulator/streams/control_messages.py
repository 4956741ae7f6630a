"""
Control messages inside a stream connection: SUBSCRIBE and the others, with Binance's own errors.

Binance, Spot "Live subscribing/unsubscribing to streams" and the error list on the same page; the
nested error of the 1025th stream was seen on a live futures connection.
"""

import re
from typing import Any, Literal

import msgspec
import orjson
from msgspec import Struct

STREAMS_MAX = 1024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_EXPECTED = ", ".join(f"`{method}`" for method in _METHODS)
_STRING_ID = re.compile(r"[\w\-]{1,36}")
_PROPERTY_PARAMETERS = {"SET_PROPERTY": 2, "GET_PROPERTY": 1}


class Changes(Struct, frozen=True):
    """
    What a control message asks the connection to become.
    """

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    combined: bool | None = None


class Answer(Struct, frozen=True):
    """
    Reply and consequence.

    Attributes:
        close: The connection is closed with 1008 after the reply.
    """

    reply: bytes
    changes: Changes = Changes()
    close: bool = False


class _Refusal(Exception):  # noqa: N818  # an answer, not a failure
    def __init__(self, code: int, message: str, *, with_id: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.with_id = with_id


def answer(text: bytes, *, subscribed: list[str], combined: bool) -> Answer:
    """
    Binance's answer to one text frame.

    Args:
        text: The frame's payload.

        subscribed: Streams of this connection so far, delivering or not.

        combined: Its property of that name.
    """
    try:
        request = _decode(text)
    except _Refusal as refusal:
        return _refused(refusal, None)
    try:
        return _carry_out(request, text, subscribed, combined=combined)
    except _Refusal as refusal:
        return _refused(refusal, request.get("id"))


def _decode(text: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        where = f"at line {error.lineno} column {error.colno}"
        raise _Refusal(3, f"Invalid JSON: expected value {where}") from error
    end = f"at line 1 column {len(text)}"
    if not isinstance(request, dict):
        raise _Refusal(2, f"Invalid request: invalid type, expected struct Request {end}")
    if "method" not in request:
        raise _Refusal(2, f"Invalid request: missing field `method` {end}")
    if request["method"] not in _METHODS:
        column = text.find(str(request["method"]).encode()) + len(str(request["method"])) + 1
        raise _Refusal(
            2,
            f"Invalid request: unknown variant {request['method']}, expected one of {_EXPECTED} "
            f"at line 1 column {column}",
        )
    if not _valid_id(request.get("id")):
        raise _Refusal(2, "Invalid request: request ID must be an unsigned integer")
    return request


def _valid_id(value: object) -> bool:
    # The futures page says unsigned integer only, yet Binance's own futures client sends strings.
    if isinstance(value, str):
        return _STRING_ID.fullmatch(value) is not None
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _carry_out(
    request: dict[str, Any], text: bytes, subscribed: list[str], *, combined: bool
) -> Answer:
    method: Literal[
        "SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"
    ] = request["method"]
    identity = request.get("id")
    match method:
        case "SUBSCRIBE":
            return _subscribe(_stream_names(request, text), identity, subscribed)
        case "UNSUBSCRIBE":
            names = _stream_names(request, text)
            return Answer(_result(None, identity), Changes(unsubscribe=names))
        case "LIST_SUBSCRIPTIONS":
            return Answer(_result(subscribed, identity))
        case "SET_PROPERTY":
            value = _property_value(request)
            return Answer(_result(None, identity), Changes(combined=value))
        case "GET_PROPERTY":
            _property_parameters(request)
            return Answer(_result(combined, identity))


def _subscribe(names: tuple[str, ...], identity: object, subscribed: list[str]) -> Answer:
    if len({*subscribed, *names}) > STREAMS_MAX:
        error = {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": identity}
        return Answer(orjson.dumps(error), close=True)
    return Answer(_result(None, identity), Changes(subscribe=names))


def _stream_names(request: dict[str, Any], text: bytes) -> tuple[str, ...]:
    try:
        return msgspec.convert(request["params"], tuple[str, ...], strict=True)
    except KeyError as error:
        end = f"at line 1 column {len(text)}"
        raise _Refusal(2, f"Invalid request: missing field `params` {end}") from error
    except msgspec.ValidationError as error:
        raise _Refusal(2, "Invalid request: params must be an array of strings") from error


def _property_parameters(request: dict[str, Any]) -> list[Any]:
    parameters = request.get("params")
    if not isinstance(parameters, list) or not parameters or not isinstance(parameters[0], str):
        raise _Refusal(2, "Invalid request: property name must be a string")
    if len(parameters) > _PROPERTY_PARAMETERS[request["method"]]:
        raise _Refusal(2, "Invalid request: too many parameters")
    if parameters[0] != "combined":
        raise _Refusal(0, "Unknown property", with_id=True)
    return parameters


def _property_value(request: dict[str, Any]) -> bool:
    match _property_parameters(request):
        case [_, bool() as value]:
            return value
        case _:
            raise _Refusal(1, "Invalid value type: expected Boolean")


def _result(value: object, identity: object) -> bytes:
    return orjson.dumps({"result": value, "id": identity})


def _refused(refusal: _Refusal, identity: object) -> Answer:
    error: dict[str, Any] = {"code": refusal.code, "msg": refusal.message}
    if refusal.with_id:
        error["id"] = identity
    return Answer(orjson.dumps(error))
