"""Runs the service: open in order, supervise, close in reverse order.

| how it ends | exit code |
|---|---|
| SIGTERM, SIGINT | 0, after the last quotes are written |
| a worker ended unexpectedly | 1, with its name |
| the event loop stalled | 1, with every thread's stack |
"""

import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Literal, assert_never
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskStatus
from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.atomic_file import BY_UMASK, replacing
from chimera_s1.adapters.system.open_files import raise_open_files_limit
from chimera_s1.adapters.telemetry.log_formats import configure_logging
from chimera_s1.app.capabilities.operations.watch_loop import LoopWatchdog
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import Capability, PendingWrites
from chimera_s1.app.container import Container
from chimera_s1.app.embedded_redis import embedded_redis, node_addresses, restart_when_down
from chimera_s1.app.redis_client import redis_client
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.settings.types import LogFormat
from chimera_s1.app.state_files import SERVICE_FILE, prepare_state_dir
from chimera_s1.app.supervisor import Worker, WorkerFailedError, supervise
from chimera_s1.app.web.connections import Connections, connections_max
from chimera_s1.app.web.server import HttpServer, bind
from chimera_s1.domain.errors import ChimeraError, ConfigurationError

EXIT_STOPPED = 0
EXIT_FAILED = 1
FLUSH_TIMEOUT_S = 2.0
"""Of each pending write at shutdown."""

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Serve until a signal arrives or a worker dies.

    Returns:
        The exit code, see the table above.

    Raises:
        ConfigurationError: A setting must change before anything can start.
        PublisherUnavailableError: The embedded Redis does not start.
    """
    redaction = configure_logging(
        _log_format(settings), settings.log_level.value, _secrets(settings)
    )
    for file in settings.secret_files.values():
        file.on_change = redaction.add
    code, failure = EXIT_STOPPED, None
    signals = _Signals()
    async with anyio.create_task_group() as tasks:
        await tasks.start(signals.receive)
        with signals.starting:
            try:
                code = await _serve(settings, signals)
            except ChimeraError as error:
                # Raised here, it would be wrapped in an exception group.
                failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if code == EXIT_STOPPED:
        _log.info("stopped")
    return code


async def _serve(settings: Settings, signals: "_Signals") -> int:
    watchdog = LoopWatchdog(_exit_on_stall)
    async with AsyncExitStack() as stack:
        service = await _start(settings, watchdog, stack)
        signals.started = True
        try:
            with watchdog:
                await supervise(service.workers, signals.stop)
        except WorkerFailedError as died:
            _log.critical("%s; the process ends", died)
            await _announce_failure(service.operations, str(died))
            return EXIT_FAILED
        await flush_pending(service.pending_writes)
    return EXIT_STOPPED


class _Service(Struct, frozen=True):
    """The running workers, and the writes that follow once they have stopped."""

    workers: tuple[Worker, ...]
    pending_writes: tuple[PendingWrites, ...]
    operations: Operations


async def _start(settings: Settings, watchdog: LoopWatchdog, stack: AsyncExitStack) -> _Service:
    """Open all parts; *stack* closes them."""
    prepare_state_dir(settings.state_dir)
    listener = stack.enter_context(
        bind(
            settings.http_host,
            settings.http_port,
            loopback_only=settings.api_tokens_file is None,
        )
    )
    connections = Connections(connections_max(raise_open_files_limit()))
    redis, addresses = await _redis(settings, stack)
    container = Container(
        settings=settings,
        connect_redis=partial(redis_client, settings, addresses),
        pulse_watchdog=watchdog.pulse,
        connections=connections,
    )
    capabilities = await open_capabilities(container, stack)
    end_streams = partial(_end_streams, capabilities)
    http = HttpServer(container.web(), listener, end_streams, connections=connections)
    stack.enter_context(_ServiceFile(settings.state_dir, http.url, addresses))
    _log.info("serving on %s", http.url)
    return _Service(
        tuple(_workers(container, capabilities, http, redis)),
        tuple(pending for each in capabilities for pending in each.pending_writes),
        container.operations(),
    )


async def open_capabilities(container: Container, stack: AsyncExitStack) -> tuple[Capability, ...]:
    """Open the stores and every capability and put them into *container*; *stack* closes them.

    Operations come last in the result, so that events recorded by a stopping capability are still
    written.
    """
    stores = await stack.enter_async_context(container.opening_stores())
    container.stores.override(stores)
    operations = await stack.enter_async_context(container.opening_operations())
    container.operations.override(operations)
    opened = [await stack.enter_async_context(opening) for opening in container.openings()]
    capabilities = (*opened, operations.capability)
    container.capabilities.override(capabilities)
    return capabilities


def _end_streams(capabilities: Sequence[Capability]) -> None:
    for capability in capabilities:
        capability.web.end_streams()


def _workers(
    container: Container,
    capabilities: Sequence[Capability],
    http: HttpServer,
    redis: EmbeddedRedis | None,
) -> Iterator[Worker]:
    clock = container.clock()
    yield Worker("http", http.serve, http.stop)
    for capability in capabilities:
        yield from capability.workers
    jobs = container.jobs()
    yield Worker("jobs", jobs.run, jobs.stop)
    record = container.operations().outbox.record
    yield Worker("health", partial(container.health().run, record))
    if redis is not None:
        yield Worker("embedded redis", partial(restart_when_down, redis, clock))


async def flush_pending(pending_writes: Sequence[PendingWrites]) -> None:
    """Write what is pending. Each write by itself: a Redis node or a store that is down must not
    keep a lease from being released, nor events from being written.
    """
    for pending in pending_writes:
        with anyio.move_on_after(FLUSH_TIMEOUT_S), suppress(ChimeraError):
            await pending.flush()
    left = [f"{count} {each.name}" for each in pending_writes if (count := each.count())]
    if left:
        _log.warning("not written to Redis at shutdown, lost: %s", ", ".join(left))


async def _announce_failure(operations: Operations, reason: str) -> None:
    end = PendingWrites("heartbeat", partial(operations.announce.end, reason), lambda: 0)
    await flush_pending([end, *operations.last_writes])


async def _redis(
    settings: Settings, stack: AsyncExitStack
) -> tuple[EmbeddedRedis | None, tuple[RedisAddress, ...]]:
    if settings.redis_addresses:
        return None, settings.redis_addresses
    redis = await stack.enter_async_context(embedded_redis(settings))
    addresses = node_addresses(redis)
    _log.info("embedded Redis Cluster on %s", ", ".join(map(str, addresses)))
    return redis, addresses


def _log_format(settings: Settings) -> Literal["json", "human"]:
    match settings.log_format:
        case LogFormat.JSON:
            return "json"
        case LogFormat.HUMAN:
            return "human"
        case LogFormat.AUTO:
            return "human" if sys.stderr.isatty() else "json"
        case _:
            assert_never(settings.log_format)


def _secrets(settings: Settings) -> list[str]:
    kept = (
        settings.redis_pass,
        settings.binance_key,
        settings.binance_secret,
        settings.db_arango_pass,
        settings.egress_proxy,
    )
    secrets = [secret.get_secret_value() for secret in kept if secret is not None]
    proxy = settings.egress_proxy
    password = urlsplit(proxy.get_secret_value()).password if proxy is not None else None
    return [*secrets, *([password] if password else [])]


def _exit_on_stall(seconds: float) -> None:
    """End the process at once: with a stalled loop nothing can be closed in order."""
    _log.critical("the event loop has stalled for %.0f s; the process ends", seconds)
    faulthandler.dump_traceback()
    os._exit(EXIT_FAILED)


class _Signals:
    """Handles SIGTERM and SIGINT: cancels the start, or asks the started service to stop."""

    def __init__(self) -> None:
        self.starting = anyio.CancelScope()
        self.started = False
        self.stop = anyio.Event()

    async def receive(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                _log.info("%s: stopping", number.name)
                self.stop.set()
                if not self.started:
                    self.starting.cancel()


class _ServiceFile:
    """`service.env`: how other commands of this machine find a running service."""

    def __init__(self, directory: Path, url: str, addresses: Sequence[RedisAddress]) -> None:
        self._path = directory / SERVICE_FILE
        self._text = f"S1_URL={url}\nS1_REDIS_ADDRESSES={','.join(map(str, addresses))}\n"

    def __enter__(self) -> None:
        try:
            with replacing(self._path, BY_UMASK) as file:
                file.write(self._text.encode())
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be written: {error.strerror}; "
                "set S1_STATE_DIR to a writable directory"
            ) from error

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            # Another service with the same directory may have taken its place.
            if self._path.read_text() == self._text:
                self._path.unlink()
