"""Control messages inside a stream connection: SUBSCRIBE and the others, with Binance's own errors.

Binance, Spot "Live subscribing/unsubscribing to streams" and the error list on the same page; the
nested error of the 1025th stream was seen on a live futures connection.
"""

import re
from typing import Any, Literal, get_args

import msgspec
import orjson
from msgspec import Struct

STREAMS_MAX = 1024
Method = Literal["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]
_METHODS: tuple[str, ...] = get_args(Method)
_EXPECTED = ", ".join(f"`{method}`" for method in _METHODS)
_STRING_ID = re.compile(r"[\w\-]{1,36}")
_PROPERTY_PARAMETERS = {"SET_PROPERTY": 2, "GET_PROPERTY": 1}


class SubscriptionChanges(Struct, frozen=True):
    """What a control message changes on its connection."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    combined: bool | None = None


class ControlReply(Struct, frozen=True):
    """The reply to one message, and what changes.

    Attributes:
        close: The connection is closed with 1008 after the reply.
    """

    reply: bytes
    changes: SubscriptionChanges = SubscriptionChanges()
    close: bool = False


class _RequestError(Exception):
    def __init__(self, code: int, message: str, *, with_id: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.with_id = with_id


def reply_to(text: bytes, *, subscribed: list[str], combined: bool) -> ControlReply:
    """Binance's reply to one text frame.

    Args:
        text: The frame's payload.
        subscribed: Acknowledged streams of this connection, delivering or not.
        combined: The connection's property of that name.
    """
    try:
        request = _decode(text)
    except _RequestError as error:
        return _error_reply(error, None)
    try:
        return _execute(request, text, subscribed, combined=combined)
    except _RequestError as error:
        return _error_reply(error, request.get("id"))


def _decode(text: bytes) -> dict[str, Any]:
    request = _parse_json(text)
    end = f"at line 1 column {len(text)}"
    if not isinstance(request, dict):
        raise _RequestError(2, f"Invalid request: invalid type, expected struct Request {end}")
    if "method" not in request:
        raise _RequestError(2, f"Invalid request: missing field `method` {end}")
    if request["method"] not in _METHODS:
        raise _unknown_method(str(request["method"]), text)
    if not _valid_id(request.get("id")):
        raise _RequestError(2, "Invalid request: request ID must be an unsigned integer")
    return request


def _parse_json(text: bytes) -> object:  # any JSON value
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        position = f"at line {error.lineno} column {error.colno}"
        raise _RequestError(3, f"Invalid JSON: expected value {position}") from error


def _unknown_method(method: str, text: bytes) -> _RequestError:
    column = text.find(method.encode()) + len(method) + 1
    return _RequestError(
        2,
        f"Invalid request: unknown variant {method}, expected one of {_EXPECTED} "
        f"at line 1 column {column}",
    )


def _valid_id(value: object) -> bool:
    # The futures page allows unsigned integers only, yet Binance's futures client sends strings.
    if isinstance(value, str):
        return _STRING_ID.fullmatch(value) is not None
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _execute(
    request: dict[str, Any], text: bytes, subscribed: list[str], *, combined: bool
) -> ControlReply:
    method: Method = request["method"]
    identity = request.get("id")
    match method:
        case "SUBSCRIBE":
            return _subscribe(_stream_names(request, text), identity, subscribed)
        case "UNSUBSCRIBE":
            names = _stream_names(request, text)
            return ControlReply(_result(None, identity), SubscriptionChanges(unsubscribe=names))
        case "LIST_SUBSCRIPTIONS":
            return ControlReply(_result(subscribed, identity))
        case "SET_PROPERTY":
            value = _property_value(request)
            return ControlReply(_result(None, identity), SubscriptionChanges(combined=value))
        case "GET_PROPERTY":
            _property_parameters(request)
            return ControlReply(_result(combined, identity))


def _subscribe(names: tuple[str, ...], identity: object, subscribed: list[str]) -> ControlReply:
    if len({*subscribed, *names}) > STREAMS_MAX:
        error = {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": identity}
        return ControlReply(orjson.dumps(error), close=True)
    return ControlReply(_result(None, identity), SubscriptionChanges(subscribe=names))


def _stream_names(request: dict[str, Any], text: bytes) -> tuple[str, ...]:
    try:
        return msgspec.convert(request["params"], tuple[str, ...], strict=True)
    except KeyError as error:
        end = f"at line 1 column {len(text)}"
        raise _RequestError(2, f"Invalid request: missing field `params` {end}") from error
    except msgspec.ValidationError as error:
        raise _RequestError(2, "Invalid request: params must be an array of strings") from error


def _property_parameters(request: dict[str, Any]) -> list[Any]:
    parameters = request.get("params")
    if not isinstance(parameters, list) or not parameters or not isinstance(parameters[0], str):
        raise _RequestError(2, "Invalid request: property name must be a string")
    if len(parameters) > _PROPERTY_PARAMETERS[request["method"]]:
        raise _RequestError(2, "Invalid request: too many parameters")
    if parameters[0] != "combined":
        raise _RequestError(0, "Unknown property", with_id=True)
    return parameters


def _property_value(request: dict[str, Any]) -> bool:
    match _property_parameters(request):
        case [_, bool() as value]:
            return value
        case _:
            raise _RequestError(1, "Invalid value type: expected Boolean")


def _result(value: object, identity: object) -> bytes:
    return orjson.dumps({"result": value, "id": identity})


def _error_reply(error: _RequestError, identity: object) -> ControlReply:
    body: dict[str, Any] = {"code": error.code, "msg": error.message}
    if error.with_id:
        body["id"] = identity
    return ControlReply(orjson.dumps(body))
