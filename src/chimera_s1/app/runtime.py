"""The service from the first setting to the last byte: open in order, supervise, close in reverse.

| how it ends | exit code |
|---|---|
| SIGTERM, SIGINT | 0, after the last quotes are written |
| a worker ended unplanned | 1, with its name |
| the event loop stood still | 1, with every thread's stack |
"""

import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Literal, assert_never

import anyio
from anyio.abc import TaskStatus

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.atomic_file import BY_UMASK, replacing
from chimera_s1.adapters.telemetry.log_formats import configure_logging
from chimera_s1.app.capabilities.ledger.stores import open_stores
from chimera_s1.app.capabilities.operations.operations_outbox import REDIS_ERRORS
from chimera_s1.app.capabilities.operations.watch_loop import LoopWatchdog
from chimera_s1.app.capabilities.treasury.wiring import (
    NoTreasury,
    TreasuryAccess,
    TreasuryResources,
    treasury_enabled,
)
from chimera_s1.app.container import Container, build_clock
from chimera_s1.app.embedded_redis import embedded_redis, node_addresses, restart_when_down
from chimera_s1.app.settings.settings import Settings
from chimera_s1.app.settings.types import LogFormat
from chimera_s1.app.state_files import SERVICE_FILE
from chimera_s1.app.supervisor import Worker, WorkerFailedError, supervise
from chimera_s1.app.web.server import HttpServer, bind
from chimera_s1.domain.errors import ChimeraError, ConfigurationError

EXIT_STOPPED = 0
EXIT_FAILED = 1
FLUSH_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Serve until a signal arrives or a worker dies.

    Returns:
        The exit code, see the table above.

    Raises:
        ConfigurationError: A setting must change before anything can start.

        PublisherUnavailableError: The embedded Redis does not start.
    """
    configure_logging(_log_format(settings), settings.log_level.value, _secrets(settings))
    code, failure = EXIT_STOPPED, None
    signals = _Signals()
    async with anyio.create_task_group() as tasks:
        await tasks.start(signals.receive)
        with signals.starting:
            try:
                code = await _serve(settings, signals)
            except ChimeraError as error:
                # Raised in here, it would come out wrapped in a group.
                failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if code == EXIT_STOPPED:
        _log.info("stopped")
    return code


async def _serve(settings: Settings, signals: "_Signals") -> int:
    async with AsyncExitStack() as stack:
        container, workers = await _start(settings, stack)
        signals.started = True
        try:
            with container.watchdog():
                await supervise(workers, signals.stop)
        except WorkerFailedError as died:
            _log.critical("%s; the process ends", died)
            return EXIT_FAILED
        await _flush(container)
    return EXIT_STOPPED


async def _start(settings: Settings, stack: AsyncExitStack) -> tuple[Container, tuple[Worker, ...]]:
    """Open everything, onto *stack*."""
    listener = stack.enter_context(
        bind(
            settings.http_host,
            settings.http_port,
            loopback_only=settings.api_tokens_file is None,
        )
    )
    redis, addresses = await _redis(settings, stack)
    resources = await _treasury_resources(settings, addresses, stack)
    container = Container(
        settings=settings,
        treasury_resources=resources,
        quotes_client=await stack.enter_async_context(_client(settings, addresses)),
        operations_client=await stack.enter_async_context(_client(settings, addresses)),
        status_client=await stack.enter_async_context(_client(settings, addresses)),
        watchdog=LoopWatchdog(_exit_on_stall),
    )
    await stack.enter_async_context(container.exchange())
    await stack.enter_async_context(container.publisher())
    if isinstance(resources, TreasuryResources):
        await stack.enter_async_context(container.gateway())
    http = HttpServer(container.web(), listener, container.board().close)
    stack.enter_context(_ServiceFile(settings.state_dir, http.url, addresses))
    _log.info("serving on %s", http.url)
    return container, tuple(_workers(container, http, redis))


def _workers(container: Container, http: HttpServer, redis: EmbeddedRedis | None) -> list[Worker]:
    workers = [
        Worker("http", http.serve, http.stop),
        Worker("reads", container.pacer().run),
        Worker("publisher", container.publish_quotes().run),
        Worker("operations", container.operations().run),
        Worker("throughput", container.throughput().run),
        Worker("loop", container.loop().run),
        Worker("health", partial(container.health().run, container.operations().record)),
    ]
    workers += [Worker(f"clock.{patrol.venue}", patrol.run) for patrol in container.patrols()]
    workers += [
        Worker(f"feed.{serving.venue}", serving.run) for serving in container.feed_servers()
    ]
    workers += [
        Worker(f"liveness.{watch.venue}", partial(watch.run, feed))
        for watch, feed in zip(container.liveness_watches(), container.feeds(), strict=True)
    ]
    workers += _treasury_workers(container)
    if redis is not None:
        clock = container.clock()
        workers.append(Worker("embedded redis", lambda: restart_when_down(redis, clock)))
    return workers


async def _treasury_resources(
    settings: Settings, addresses: Sequence[RedisAddress], stack: AsyncExitStack
) -> TreasuryAccess:
    if not treasury_enabled(settings):
        return NoTreasury()
    stores = await stack.enter_async_context(open_stores(settings, build_clock()))
    client = await stack.enter_async_context(_client(settings, addresses))
    return TreasuryResources(stores, client)


def _treasury_workers(container: Container) -> list[Worker]:
    work = container.treasury().workers
    if work is None:
        return []

    def stop() -> None:
        container.stop_flag().set()
        work.executor.stop()

    return [
        Worker("treasury executor", work.executor.run, stop),
        Worker("treasury reconciler", work.reconciler.run),
        Worker("treasury relay", work.relay.run),
        Worker("treasury projection", work.projection.run),
        Worker("treasury key", work.key.run),
        Worker("kill switch", work.switch.run),
    ]


async def _flush(container: Container) -> None:
    """The last quotes and events; a store that is gone does not hold the process."""
    publishing, operations = container.publish_quotes(), container.operations()
    with anyio.move_on_after(FLUSH_TIMEOUT_S), suppress(*REDIS_ERRORS):
        await publishing.flush()
        await operations.flush()
    quotes, events = publishing.report().pending, operations.pending
    if quotes or events:
        _log.warning("not written: the last %d quotes, %d operational events", quotes, events)


async def _redis(
    settings: Settings, stack: AsyncExitStack
) -> tuple[EmbeddedRedis | None, tuple[RedisAddress, ...]]:
    if settings.redis_addresses:
        return None, settings.redis_addresses
    redis = await stack.enter_async_context(embedded_redis(settings))
    addresses = node_addresses(redis)
    _log.info("embedded Redis Cluster on %s", ", ".join(map(str, addresses)))
    return redis, addresses


def _client(
    settings: Settings, addresses: Sequence[RedisAddress]
) -> AbstractAsyncContextManager[ClusterClient]:
    password = settings.redis_pass.get_secret_value() if settings.redis_pass else ""
    return connect_cluster(
        addresses, user=settings.redis_user or "", password=password, tls=settings.redis_tls
    )


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
    )
    return [secret.get_secret_value() for secret in kept if secret is not None]


def _exit_on_stall(seconds: float) -> None:
    """A process that cannot answer must not look alive; nothing can be closed in order any more."""
    _log.critical("the event loop has not turned for %.0f s; the process ends", seconds)
    faulthandler.dump_traceback()
    os._exit(EXIT_FAILED)


class _Signals:
    """SIGTERM and SIGINT: cancel what is starting, ask to stop what has started."""

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
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path, BY_UMASK) as file:
                file.write(self._text.encode())
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be written: {error.strerror}; "
                "set S1_STATE_DIR to a directory that can"
            ) from error

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            # Another service with the same directory may have taken its place.
            if self._path.read_text() == self._text:
                self._path.unlink()
