"""Users, their passwords, and their rights to databases; Basic authentication only."""

import base64
import binascii
from collections.abc import Mapping

from tests.arango_double.errors import ArangoError, UnknownRequestError, not_authorized
from tests.arango_double.http_messages import Request

_ANY_DATABASE = "*"


class Access:
    """Checks each request before it is routed."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[str, dict[str, str]]] = {}
        self.add_user("root", "", {_ANY_DATABASE: "rw"})

    def add_user(self, name: str, password: str, rights: Mapping[str, str]) -> None:
        """Add a user; if it exists, add to its rights and change its password.

        Args:
            rights: `ro` or `rw` by database; `*` is any.
        """
        _, present = self._users.get(name, ("", {}))
        self._users[name] = (password, {**present, **rights})

    def check(self, request: Request) -> None:
        """Raises:
        ArangoError: 401/11, no right to the database; 403/11, a write by a read-only user.
        """
        right = self._right(request)
        if right is None:
            raise not_authorized()
        if request.writes and right != "rw":
            raise ArangoError(403, 11, "forbidden")

    def _right(self, request: Request) -> str | None:
        name, password = _credentials(request)
        expected, rights = self._users.get(name, (None, {}))
        if password != expected:
            return None
        return rights.get(request.database, rights.get(_ANY_DATABASE))


def _credentials(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"", "basic"}:
        raise UnknownRequestError(f"the authorization scheme {scheme!r}")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise not_authorized() from None
    name, _, password = decoded.partition(":")
    return name, password
