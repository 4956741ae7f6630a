"""Foreign exceptions become the domain's, each with one sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
)

from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError

REDIS_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What redis-py raises for a store that does not do what was asked."""

_CLUSTER_DISABLED = "cluster support disabled"


@contextmanager
def translate_redis_errors() -> Iterator[None]:
    """Turn what redis-py raises inside the block into the domain's errors.

    Raises:
        ConfigurationError: Credentials are refused, or the server is not part of a cluster.

        PublisherUnavailableError: Everything else; the same call may succeed later.
    """
    try:
        yield
    except REDIS_FAILURES as error:
        # The cause stays out of the traceback chain where it is a matter of settings: the one
        # sentence says all, and a chain would repeat the server's text.
        advice = configuration_advice(error)
        if advice:
            raise ConfigurationError(advice) from None
        raise PublisherUnavailableError(f"Redis: {error_text(error)}") from error


def configuration_advice(error: BaseException) -> str:
    """The sentence for an error that the user's settings explain; empty for any other."""
    for link in _cause_chain(error):
        text = str(link).lower()
        match link:
            case NoPermissionError():
                return (
                    "Redis refuses a command to the user in S1_REDIS_USER "
                    f"({_first_line(link)}); grant it +@all on ~* or check S1_REDIS_USER"
                )
            case AuthenticationError() | AuthenticationWrongNumberOfArgsError():
                return (
                    "Redis refuses the credentials; check S1_REDIS_USER and S1_REDIS_PASS "
                    "(the server wants a password, or wants another one)"
                )
            case _ if _CLUSTER_DISABLED in text:
                return (
                    "the server in S1_REDIS_ADDRESSES is not in cluster mode; start it with "
                    "--cluster-enabled yes and give it the slots "
                    "(redis-cli CLUSTER ADDSLOTSRANGE 0 16383), or name a cluster's node"
                )
            case _:
                continue
    return ""


def error_text(error: BaseException) -> str:
    """What went wrong, in one line for people."""
    # Patience that ended carries no text of its own.
    unnamed = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return _first_line(error) or unnamed


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
