"""User, password and TLS of a connection to a node."""

import ssl

from msgspec import Struct


class NodeCredentials(Struct, frozen=True):
    """Valid for every node of the cluster; the password is not in its repr.

    Attributes:
        user: ACL user; empty for the default user.
        password: Empty for none.
        tls: None for plain TCP.
    """

    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"NodeCredentials(user={self.user!r}, tls={self.tls is not None})"
