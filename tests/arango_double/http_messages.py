"""A request and a response, independent of any HTTP library."""

from typing import Any
from urllib.parse import unquote

import orjson
from msgspec import Struct, field

from tests.arango_double.errors import ArangoError, UnknownRequestError

_DATABASE_PREFIX = "/_db/"
_TRUE, _FALSE = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no"})


class Request(Struct, frozen=True):
    """Attributes:
    coordinator: Index of the one that received it.

    path: As sent, without `/_db/<database>` and without parameters.

    headers: Names in lower case.
    """

    coordinator: int
    method: str
    database: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def segments(self) -> list[str]:
        """The parts of the path, unquoted."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    @property
    def writes(self) -> bool:
        """Whether it changes the store; the AQL texts known here only read."""
        if self.method == "GET" or self.path.startswith("/_api/cursor"):
            return False
        return not (self.method == "PUT" and self.flag("onlyget"))

    def json(self) -> Any:
        """Raises: ArangoError: 400/600, the body is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise ArangoError(400, 600, f"VPackError error: {error}") from None

    def json_object(self) -> dict[str, Any]:
        """Raises: ArangoError: 400/400, the body is not an object; 400/600, it is not JSON."""
        value = self.json()
        if not isinstance(value, dict):
            raise ArangoError(400, 400, "expecting a JSON object")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean parameter, which drivers write as 0 and 1."""
        value = self.parameters.get(name)
        if value is None:
            return default
        if value not in _TRUE | _FALSE:
            raise UnknownRequestError(f"the value {value!r} of {name}")
        return value in _TRUE

    def allow_parameters(self, *names: str, off: tuple[str, ...] = ()) -> None:
        """Refuse any other parameter.

        Args:
            off: Allowed only with a false value.
        """
        refuse_unknown("parameter", self.parameters, (*names, *off))
        on = next((name for name in off if self.flag(name)), None)
        if on is not None:
            raise UnknownRequestError(f"the parameter {on!r}")


class Response(Struct, frozen=True):
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def object_response(status: int, body: dict[str, Any]) -> Response:
    """A response with the two attributes that every object has."""
    return Response(status, {"error": False, "code": status, **body})


def error_response(error: ArangoError) -> Response:
    return Response(error.status, error.body(), error.headers)


def split_database(path: str) -> tuple[str, str]:
    """The database named by *path* (`_system` if none), and the rest of the path."""
    if not path.startswith(_DATABASE_PREFIX):
        return "_system", path
    name, _, rest = path.removeprefix(_DATABASE_PREFIX).partition("/")
    return unquote(name), f"/{rest}"


def refuse_unknown(kind: str, given: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise for the first name of *given* that is not *allowed*.

    An option that the double ignored would prove nothing about a real server.
    """
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is not None:
        raise UnknownRequestError(f"the {kind} {unknown!r}")
