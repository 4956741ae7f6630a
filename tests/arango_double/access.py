"""
Users, passwords, tokens, and who may use which database.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from tests.arango_double.errors import ArangoError, not_authorized
from tests.arango_double.requests_in import Answer, Request

_EVERYWHERE = "*"
_KEY = "a key of this double alone, which protects nothing"


class Access:
    """
    Decides about each request before it is routed.

    Attributes:
        token_lifetime_s: Of the tokens given out from now on.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.token_lifetime_s = 3600
        self._now_ms = now_ms
        self._users: dict[str, tuple[str, dict[str, str]]] = {}
        self._given = 0
        self._expired = 0
        self.add_user("root", "", {_EVERYWHERE: "rw"})

    def add_user(self, name: str, password: str, rights: Mapping[str, str]) -> None:
        """
        Add a user, or rights and another password to one that is there.

        Args:
            rights: `ro` or `rw` by database; `*` is any.
        """
        before = self._users.get(name, ("", {}))[1]
        self._users[name] = (password, {**before, **rights})

    def expire_tokens(self) -> None:
        """
        Refuse all tokens given out so far, as if their time had passed.
        """
        self._expired = self._given

    def give_token(self, request: Request) -> Answer:
        """
        `POST /_open/auth`.

        Raises:
            ArangoError: 401/401, wrong user or password.
        """
        wanted = request.json_object()
        name = wanted.get("username", "")
        if not self._knows(name, wanted.get("password", "")):
            raise ArangoError(401, 401, "Wrong credentials")
        self._given += 1
        now_s = self._now_ms() // 1000
        claims: dict[str, Any] = {"iss": "arangodb", "preferred_username": name, "iat": now_s}
        claims |= {"exp": now_s + self.token_lifetime_s, "number": self._given}
        return Answer(200, {"jwt": jwt.encode(claims, _KEY, algorithm="HS256")})

    def check(self, request: Request) -> None:
        """
        Pass what its user may do.

        Raises:
            ArangoError: 401/11; 403/11 where the user may only read.
        """
        if not self.may(request, request.database, "ro"):
            raise not_authorized()
        if request.writes and not self.may(request, request.database, "rw"):
            raise ArangoError(403, 11, "forbidden")

    def may(self, request: Request, database: str, right: str) -> bool:
        """
        Whether the user of *request* has *right* on *database*.
        """
        _, rights = self._users.get(self._user_of(request) or "", ("", {}))
        return rights.get(database, rights.get(_EVERYWHERE)) in {right, "rw"}

    def _user_of(self, request: Request) -> str | None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "basic":
                return self._user_by_password(credentials)
            case "bearer":
                return self._user_by_token(credentials)
            case _:
                return None

    def _user_by_password(self, credentials: str) -> str | None:
        try:
            name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return name if self._knows(name, password) else None

    def _user_by_token(self, token: str) -> str | None:
        try:
            claims = jwt.decode(
                token,
                _KEY,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return None
        fresh = claims["number"] > self._expired and claims["exp"] > self._now_ms() // 1000
        return str(claims["preferred_username"]) if fresh else None

    def _knows(self, name: str, password: str) -> bool:
        return name in self._users and self._users[name][0] == password
