"""One redis-server process in cluster mode."""

import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import Process
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.domain.errors import PublisherUnavailableError

if TYPE_CHECKING:
    import psutil

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 3.0
_POLL_INTERVAL_S = 0.01


class ServerProcess:
    """Keeps data in memory only; `nodes.conf`, its role in the cluster, survives a restart. It ends
    with the thread that started it.
    """

    def __init__(self, binary: Path, directory: Path, port: int, options: tuple[str, ...]) -> None:
        """The cluster bus listens on *port* + 10000."""
        self.address = RedisAddress(HOST, port)
        self.log = directory / "redis.log"
        self._binary = binary
        self._directory = directory
        self._options = options
        self._process: Process | None = None
        self._stop_requested = True

    @property
    def pid(self) -> int | None:
        """None unless it is running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it answers PING.

        Raises:
            PublisherUnavailableError: It exited, or sent no reply within 10 s.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C must reach only the service, which then stops the server.
            self._process = await anyio.open_process(
                ending_with_parent(self._command_line(), signal.SIGKILL),  # it has no data to save
                stdin=None,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                start_new_session=True,
            )
        self._stop_requested = False
        (self._directory / "redis.pid").write_text(f"{self._process.pid}\n")
        with anyio.move_on_after(START_TIMEOUT_S):
            await poll_until(self._is_up_or_exited)
            if self.pid is not None:
                return
        await self.stop()
        raise PublisherUnavailableError(
            f"redis-server on {self.address} did not start: {self._last_log_line()} "
            f"(full log: {self.log})"
        )

    async def execute(self, *command: str | int) -> Any:  # noqa: ANN401 (depends on the command)
        """Run one command over a new connection."""
        client = Redis(
            host=HOST,
            port=self.address.port,
            decode_responses=True,
            protocol=2,
            socket_timeout=START_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; wait for the exit. Does nothing if it is not running."""
        self._stop_requested = True
        process = self._process
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_STOP_TIMEOUT_S), suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
                await process.wait()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        (self._directory / "redis.pid").unlink(missing_ok=True)

    async def kill(self) -> None:
        """SIGKILL, as in a crash; wait for the exit."""
        assert self._process is not None, "not started"
        self._process.kill()
        await self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open without replies."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGCONT)

    async def watch(self) -> None:
        """Until `stop`; raises `PublisherUnavailableError` if the process exits by itself."""
        assert self._process is not None, "not started"
        code = await self._process.wait()
        if not self._stop_requested:
            raise PublisherUnavailableError(
                f"embedded redis-server on {self.address} exited with {_exit_text(code)}: "
                f"{self._last_log_line()} (full log: {self.log})"
            )

    async def _is_up_or_exited(self) -> bool:
        with suppress(RedisError, OSError):
            return self.pid is None or bool(await self.execute("PING"))
        return False

    def _command_line(self) -> list[str]:
        return [
            str(self._binary),
            *("--port", str(self.address.port), "--bind", HOST),
            *("--cluster-enabled", "yes", "--cluster-announce-ip", HOST),
            *("--cluster-node-timeout", "1000"),
            *("--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"),
            *self._options,
        ]

    def _last_log_line(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError as error:
            return str(error)
        return next((line for line in reversed(lines) if line.strip()), "its log is empty")


async def poll_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """The caller sets the timeout."""
    while not await condition():  # noqa: ASYNC110 (a server has no notifications)
        await anyio.sleep(_POLL_INTERVAL_S)


async def kill_orphan(directory: Path) -> int | None:
    """Kill the server that a killed owner of *directory* left running, and return its process id.

    As process ids are reused, working directory and command line are checked first.
    """
    file = directory / "redis.pid"
    try:
        pid = int(file.read_text())
    except (OSError, ValueError):
        return None
    server = _own_server(pid, directory)
    if server is None:
        file.unlink(missing_ok=True)
        return None
    with suppress(ProcessLookupError):
        # It has no data to save, and a process under SIGSTOP would not handle SIGTERM.
        os.kill(pid, signal.SIGKILL)
    with anyio.fail_after(_STOP_TIMEOUT_S):
        while not _has_ended(server):  # noqa: ASYNC110 (not our child: no notification of its exit)
            await anyio.sleep(_POLL_INTERVAL_S)
    file.unlink(missing_ok=True)
    return pid


def _own_server(pid: int, directory: Path) -> "psutil.Process | None":
    import psutil  # noqa: PLC0415 (1 MiB that only the embedded server needs)

    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())
        own = "-server" in command and Path(process.cwd()) == directory.resolve()
    except (psutil.Error, ValueError):  # ValueError: the id is out of range
        return None
    return process if own else None


def _has_ended(process: "psutil.Process") -> bool:
    """False while a killed process still closes its sockets, when its command line is gone."""
    import psutil  # noqa: PLC0415 (as above)

    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _exit_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
