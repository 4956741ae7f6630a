"""With what a connection to a node introduces itself."""

import ssl

from msgspec import Struct


class NodeCredentials(Struct, frozen=True):
    """The same for every node of a cluster; prints without its password.

    Attributes:
        user: ACL user; empty for the default user.

        password: Empty for none.

        tls: What verifies the server's certificate and name; None speaks plain TCP.
    """

    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"NodeAccess(user={self.user!r}, tls={self.tls is not None})"


def create_tls_context(ca: str | None) -> ssl.SSLContext:
    """TLS that checks the server's certificate and name.

    Args:
        ca: A file with the CA certificates to trust; None for the system's.
    """
    return ssl.create_default_context(cafile=ca)
