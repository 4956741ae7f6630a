"""Translates redis-py's exceptions into the domain's."""

import ssl
from collections.abc import Iterator

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.tls import tls_advice
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    PublisherRefusedError,
    PublisherUnavailableError,
)

REDIS_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)

_CLUSTER_DISABLED = "cluster support disabled"


class NodeUnreachableError(RedisConnectionError):
    """No connection to the node *host*:*port*."""

    def __init__(self, host: str, port: int, text: str) -> None:
        self.node = str(RedisAddress(host, int(port)))
        super().__init__(text if self.node in text else f"{self.node}: {text}")


def translated(error: BaseException, where: str) -> ChimeraError:
    """The domain's error; *where* names the node.

    A `ConfigurationError` if the credentials or certificates are refused, or the server is not in
    cluster mode; a `PublisherRefusedError` if the server refuses the command itself; else a
    `PublisherUnavailableError`: the same call may succeed later.
    """
    if advice := configuration_advice(error):
        named = advice.startswith("Redis ")
        return ConfigurationError(advice if named else f"{where}: {advice}")
    text = error_text(error)
    # Other replies are about the state of the server, which changes: OOM, LOADING, CLUSTERDOWN.
    refused = isinstance(error, ResponseError) and text.startswith(("WRONGTYPE ", "ERR "))
    return (PublisherRefusedError if refused else PublisherUnavailableError)(f"{where}: {text}")


def configuration_advice(error: BaseException) -> str:
    """What to change in the settings; empty if settings do not explain the error."""
    node = ""
    for cause in _cause_chain(error):
        match cause:
            case NodeUnreachableError():
                node = f"Redis {cause.node}: "
            case ssl.SSLError() if advice := tls_advice(cause):
                return node + advice
            case NoPermissionError():
                return (
                    f"user lacks permission ({_server_words(cause)}); "
                    "grant +@all on ~* or check S1_REDIS_USER"
                )
            case AuthenticationError() | AuthenticationWrongNumberOfArgsError():
                return (
                    f"authentication failed ({_server_words(cause)}); "
                    "check S1_REDIS_USER and S1_REDIS_PASS"
                )
            case _ if _CLUSTER_DISABLED in str(cause).lower():
                return (
                    "the server in S1_REDIS_ADDRESSES is not in cluster mode; start it with "
                    "--cluster-enabled yes and assign the slots "
                    "(redis-cli CLUSTER ADDSLOTSRANGE 0 16383), "
                    "or set S1_REDIS_ADDRESSES to nodes of a cluster"
                )
            case _:
                continue
    return ""


def error_text(error: BaseException) -> str:
    """In one line: the server's own words, or what is wrong with the connection."""
    # A TimeoutError has no text.
    unnamed = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
    return _server_words(error) or unnamed


def _server_words(error: BaseException) -> str:
    """redis-py cuts the first word of a reply, the code of the error: `OOM`, `READONLY`."""
    words = str(error).strip().partition("\n")[0]
    code = getattr(error, "status_code", None) or ""
    return words if not code or words.startswith(code) else f"{code} {words}"


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
