"""The processes of a demo: the simulator, and the service with its embedded Redis."""

import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.addresses import parse_addresses
from chimera_s1.adapters.redis.embedded.server_process import kill_orphan
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.demo.child_process import ChildEndedError, ChildProcess, end_orphans
from chimera_s1.app.service_settings import given_variables
from chimera_s1.app.state_files import (
    SERVICE_FILE,
    DemoState,
    demo_file,
    demo_lock,
    parse_env_lines,
    remove_demo_state,
    tokens_file,
    write_demo_state,
)
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import SECRET_BYTES, make_token
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1_client import HttpSession, NoReplyError

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
REPLY_TIMEOUT_S = 5.0
_POLL_INTERVAL_S = 0.1
_REAL_PREFIXES = ("S1_BINANCE_", "S1_REDIS_")
_KEPT_VARIABLES = ("S1_REDIS_SERVER", "S1_REDIS_EMBEDDED_MAXLEN", "S1_REDIS_EMBEDDED_MEMORY_MB")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ProgressCallback: TypeAlias = Callable[[str], None]


class DemoPlan(Struct, frozen=True):
    """What to run.

    Attributes:
        http_port: 0 picks a free one.
        simulate: Options of `simulate`.
        environ: Inherited by the children, from `demo_environ`.
    """

    state_dir: Path
    http_port: int
    simulate: tuple[str, ...]
    environ: Mapping[str, str]


class _SimulatorAddresses(Struct):
    spot_rest_url: str
    spot_ws_url: str
    perp_rest_url: str
    perp_ws_url: str
    archive_url: str
    control_url: str
    s10_url: str
    api_key: str
    api_secret: str


class UnreadyComponent(Struct, frozen=True):
    """A component in the reply of `GET /ready`."""

    name: str
    level: str
    detail: str = ""


class _Readiness(Struct):
    components: tuple[UnreadyComponent, ...] = ()


def demo_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without the variables that name a real exchange or a real Redis."""
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT_VARIABLES or not name.startswith(_REAL_PREFIXES)
    }


def choose_http_port(wanted: int | None, preferred: int) -> int:
    """*wanted*; without it *preferred* if it is free, else 0.

    Raises:
        ConfigurationError: *wanted* is in use.
    """
    if wanted is None:
        return preferred if _is_free(preferred) else 0
    if not _is_free(wanted):
        raise ConfigurationError(
            f"port {wanted} is in use; name another with --http-port, or 0 for a free one"
        )
    return wanted


async def run_demo(
    plan: DemoPlan, *, progress: ProgressCallback, ready: Callable[[DemoState], None]
) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP; *ready* is called once `demo.env` is written.

    Raises:
        ConfigurationError: Another demo runs in the same state directory.
        ChildEndedError: A child exited by itself, or was not ready in time.
    """
    failures: list[ChildEndedError] = []
    with demo_lock(plan.state_dir), anyio.open_signal_receiver(*_SIGNALS) as signals:
        await _clean_up(plan.state_dir, progress)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_on_signal, signals, tasks.cancel_scope)
            try:
                async with AsyncExitStack() as children:
                    await _run_children(plan, children, progress, ready)
            except ChildEndedError as error:
                failures.append(error)
            tasks.cancel_scope.cancel()
        await _clear_service(plan.state_dir)
    if failures:
        raise failures[0]


async def _run_children(
    plan: DemoPlan,
    children: AsyncExitStack,
    progress: ProgressCallback,
    ready: Callable[[DemoState], None],
) -> None:
    progress("starting the simulator")
    simulator = await children.enter_async_context(
        ChildProcess(("simulate", "--json", "--s10", *plan.simulate), plan.environ, plan.state_dir)
    )
    simulated = msgspec.json.decode(await simulator.first_line(), type=_SimulatorAddresses)
    progress("starting the service and its Redis")
    token = _write_token(plan.state_dir)
    environ = _service_environ(plan, simulated)
    service = await children.enter_async_context(ChildProcess(("serve",), environ, plan.state_dir))
    failures: list[ChildEndedError] = []
    async with anyio.create_task_group() as tasks:

        async def watch(child: ChildProcess) -> None:
            failures.append(await child.wait_ended())
            tasks.cancel_scope.cancel()

        for child in (simulator, service):
            tasks.start_soon(watch, child)
        where = await _wait_until_ready(plan, service, progress)
        state = DemoState(
            url=where["S1_URL"],
            token=token,
            redis_addresses=parse_addresses(where["S1_REDIS_ADDRESSES"]),
            sim_url=simulated.control_url,
            s10_url=simulated.s10_url,
        )
        await _announce_in(where["S1_REDIS_ADDRESSES"], simulated.control_url)
        children.callback(remove_demo_state, plan.state_dir)
        write_demo_state(plan.state_dir, state, given_variables(environ))
        ready(state)
        await anyio.sleep_forever()
    raise failures[0]


def _service_environ(plan: DemoPlan, simulated: _SimulatorAddresses) -> dict[str, str]:
    return {
        "S1_SYMBOLS": "*",
        "S1_FUNDING_DAYS": "30",
        **plan.environ,
        "S1_BINANCE_ENV": "simulator",
        "S1_BINANCE_SPOT_REST_URL": simulated.spot_rest_url,
        "S1_BINANCE_SPOT_WS_URL": simulated.spot_ws_url,
        "S1_BINANCE_PERP_REST_URL": simulated.perp_rest_url,
        "S1_BINANCE_PERP_WS_URL": simulated.perp_ws_url,
        "S1_BINANCE_ARCHIVE_URL": simulated.archive_url,
        "S1_BINANCE_KEY": simulated.api_key,
        "S1_BINANCE_SECRET": simulated.api_secret,
        "S1_S10_URL": simulated.s10_url,
        "S1_HTTP_HOST": HOST,
        "S1_HTTP_PORT": str(plan.http_port),
        "S1_API_TOKENS_FILE": str(tokens_file(plan.state_dir)),
        "S1_STATE_DIR": str(plan.state_dir),
    }


def _write_token(state_dir: Path) -> str:
    """Make a token with all scopes, the only one of this demo."""
    token, record = make_token(
        "demo",
        secrets.token_bytes(SECRET_BYTES),
        actor="demo",
        scopes=Scope,
        created_at=SystemClock().now_ms(),
    )
    write_token_file(tokens_file(state_dir), [record])
    return token


async def _wait_until_ready(
    plan: DemoPlan, service: ChildProcess, progress: ProgressCallback
) -> dict[str, str]:
    """Wait for the service's file and for status 200 of `GET /ready`; the content of the file."""
    missing: tuple[UnreadyComponent, ...] = (UnreadyComponent("its ports", "RED"),)
    with anyio.move_on_after(START_TIMEOUT_S):
        while (where := _service_file(plan.state_dir)) is None:  # noqa: ASYNC110 (another process writes it)
            await anyio.sleep(_POLL_INTERVAL_S)
        while missing := await unready_components(where["S1_URL"]):
            progress(f"waiting for {', '.join(part.name for part in missing)}")
            await anyio.sleep(_POLL_INTERVAL_S)
        return where
    waits = "; ".join(f"{part.name}: {part.detail}" for part in missing)
    raise ChildEndedError(
        f"the service was not ready after {START_TIMEOUT_S:.0f} s, waiting for {waits}; "
        f"see {service.log}{service.last_lines()}"
    )


async def _announce_in(redis_addresses: str, control_url: str) -> None:
    """S10 announces its revisions in the Redis of the service, which starts after it."""
    body = msgspec.json.encode({"addresses": redis_addresses})
    async with HttpSession(control_url, timeout_s=REPLY_TIMEOUT_S) as simulator:
        try:
            reply = await simulator.send("POST", "/sim/s10/redis", body)
        except NoReplyError as error:
            raise ChildEndedError(f"S10 has no address of Redis: {error}") from error
    if reply.status != HTTPStatus.OK:
        raise ChildEndedError(f"S10 refuses the address of Redis: {reply.body!r}")


def _service_file(state_dir: Path) -> dict[str, str] | None:
    try:
        return parse_env_lines((state_dir / SERVICE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


async def unready_components(url: str) -> tuple[UnreadyComponent, ...]:
    """The components that the reply of `GET /ready` names; empty for status 200."""
    try:
        async with HttpSession(url, timeout_s=REPLY_TIMEOUT_S) as service:
            reply = await service.send("GET", "/ready")
    except NoReplyError as error:
        return (UnreadyComponent("http", "RED", str(error)),)
    if reply.status == HTTPStatus.OK:
        return ()
    with suppress(msgspec.DecodeError):
        components = msgspec.json.decode(reply.body, type=_Readiness).components
        if components:
            return components
    return (UnreadyComponent("http", "RED", f"/ready answers {reply.status}"),)


async def _cancel_on_signal(
    signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
) -> None:
    async for _ in signals:
        scope.cancel()


async def _clean_up(state_dir: Path, progress: ProgressCallback) -> None:
    """Remove what a killed demo left behind."""
    if demo_file(state_dir).exists():
        progress("an earlier demo was killed; cleaning up")
    ended = await end_orphans(state_dir)
    if ended:
        progress(f"stopped what was left of an earlier demo that was killed ({ended} processes)")
    await _clear_service(state_dir)
    remove_demo_state(state_dir)


async def _clear_service(state_dir: Path) -> None:
    """Stop the Redis of a service that was killed; one that exited has stopped its own."""
    (state_dir / SERVICE_FILE).unlink(missing_ok=True)
    for directory in _redis_directories(state_dir):
        await kill_orphan(directory)


def _redis_directories(state_dir: Path) -> list[Path]:
    return [file.parent for file in state_dir.rglob("redis.pid")]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            # With SO_REUSEADDR binding succeeds on a port in use; listening fails.
            probe.listen()
        except OSError:
            return False
    return True
