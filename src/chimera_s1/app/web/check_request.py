"""Checks of every request that do not depend on its route: query parameters and body encoding."""

from collections import Counter
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from chimera_s1.app.near_name import near_name
from chimera_s1.app.web.json_object import ContentCodingError, RequestInvalidError
from chimera_s1.app.web.parameters import is_options, is_post, query_parameters, takes_body
from chimera_s1.domain.printable import escape_unprintable

_NAME_CHARACTERS_MAX = 40


async def check_request(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Litestar's guard, after the one for access: strangers do not learn the parameters.

    Raises:
        RequestInvalidError: A query parameter is unknown, or a single one is repeated; or there is
            a body that the route does not read.
        ContentCodingError: The body is encoded.
    """
    if connection.scope["query_string"] and not is_options(handler):
        _check_query(connection, handler)
    if takes_body(handler):
        _check_coding(connection.headers.getall("content-encoding", []))
    elif is_post(handler) and _has_body(connection):
        raise RequestInvalidError("this route takes no body; send the request without one")


def _has_body(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    length = connection.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in connection.headers


def _check_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    known = query_parameters(handler)
    sent = Counter(name for name, _ in connection.query_params.multi_items())
    for name, times in sent.items():
        if name not in known:
            raise RequestInvalidError(_unknown_parameter(name, known))
        if times > 1 and not known[name].is_non_string_sequence:
            raise RequestInvalidError(f"{name} appears {times} times; send it once")


def _unknown_parameter(name: str, known: dict[str, Any]) -> str:
    shown = escape_unprintable(name[:_NAME_CHARACTERS_MAX]) or "an empty name"
    near = near_name(name[:_NAME_CHARACTERS_MAX], known)
    if near is not None:
        return f"{shown}: no such query parameter; did you mean {near}?"
    what = f"this route has {', '.join(known)}" if known else "this route has none"
    return f"{shown}: no such query parameter; {what}"


def _check_coding(sent: list[str]) -> None:
    codings = [each.strip().lower() for value in sent for each in value.split(",")]
    if any(coding not in {"", "identity"} for coding in codings):
        raise ContentCodingError(
            "the body is encoded (Content-Encoding); send it as it is, without that header"
        )
