"""User, password and TLS of a connection to a node."""

import ssl
from collections.abc import Callable

from msgspec import Struct


def no_password() -> str:
    """For a server without access control."""
    return ""


class NodeCredentials(Struct, frozen=True):
    """For every node of the cluster; an empty *user* is the default user.

    Attributes:
        read_password: Called for each new connection; empty without a password.
    """

    user: str = ""
    read_password: Callable[[], str] = no_password
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"NodeCredentials(user={self.user!r}, tls={self.tls is not None})"


NO_CREDENTIALS = NodeCredentials()
