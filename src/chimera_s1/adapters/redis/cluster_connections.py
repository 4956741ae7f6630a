"""redis-py's connections, whose errors name the node, and which are always closed in time."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chimera_s1.adapters.redis.errors import NodeUnreachableError, error_text
from chimera_s1.adapters.redis.tls import closed_early, no_tls_answer


class _ClosedInTime(AbstractConnection):
    """A connection that cannot be closed in time is aborted: redis-py leaves its socket open, and
    fails what only wanted another connection.
    """

    async def disconnect(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 (redis-py's own)
        writer = self._writer
        try:
            await super().disconnect(*args, **options)
        except RedisTimeoutError:
            _abort(writer)
        except BaseException:
            _abort(writer)
            raise


class PlainConnection(_ClosedInTime, Connection):
    """Without TLS."""

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        with _naming(self.host, self.port, tls=False):
            await super().connect_check_health(check_health, retry_socket_connect)


class TlsConnection(_ClosedInTime, SSLConnection):
    """With the given context in place of one of its own, which would read the files again."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:  # noqa: ANN401 (redis-py's own)
        super().__init__(**options)
        self.ssl_context.context = tls

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        with _naming(self.host, self.port, tls=True):
            await super().connect_check_health(check_health, retry_socket_connect)


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()


@contextmanager
def _naming(host: str, port: int, *, tls: bool) -> Iterator[None]:
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        if type(error) not in {RedisConnectionError, RedisTimeoutError}:
            raise  # the server has answered: loading, wrong password
        raise NodeUnreachableError(host, port, _connect_text(error, tls=tls)) from error


def _connect_text(error: RedisConnectionError | RedisTimeoutError, *, tls: bool) -> str:
    text = error_text(error)
    if isinstance(error, RedisTimeoutError):
        return no_tls_answer(text) if tls else text
    reason = error.__cause__ or error.__context__
    if reason is None or isinstance(reason, ConnectionResetError | BrokenPipeError):
        return closed_early(text, tls=tls)
    return text
