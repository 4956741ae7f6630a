"""User, password and TLS of a connection to a node."""

import ssl

from msgspec import Struct


class NodeCredentials(Struct, frozen=True):
    """For every node of the cluster; an empty *user* is the default user."""

    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"NodeCredentials(user={self.user!r}, tls={self.tls is not None})"


NO_CREDENTIALS = NodeCredentials()
