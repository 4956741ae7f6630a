"""Real `chimera-s1` processes for tests: start one, read the JSON line it prints when ready, stop
it.

    async with chimera_process("simulate", "--json", "--rate", "500") as simulator:
        simulator.ready["spot_ws_url"]

The process has ended when the block ends.
"""

import os
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import IO, Any, Self

import anyio
import msgspec
import psutil
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.forked_process import fork_python
from tests.time_limits import TIMEOUT_S

_LINE_BYTES_MAX = 65_536
_STDERR = 2


class ChimeraProcess:
    """A running `chimera-s1` command.

    Attributes:
        process: For its pid.
        ready: The JSON object of its first line.
    """

    def __init__(self, process: Process, output: BufferedByteReceiveStream) -> None:
        self.process = process
        self.ready: dict[str, Any] = {}
        self._output = output

    async def read_json_line(self) -> dict[str, Any]:
        """The next line of its standard output, a JSON object."""
        line = await self._output.receive_until(b"\n", _LINE_BYTES_MAX)
        return msgspec.json.decode(line, type=dict[str, Any])

    async def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and wait for it; its exit code. A process that has ended is left alone."""
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        with anyio.fail_after(TIMEOUT_S):
            return await self.process.wait()


@asynccontextmanager
async def chimera_process(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stderr: IO[bytes] | None = None,
) -> AsyncIterator[ChimeraProcess]:
    """Run `chimera-s1` with *arguments*, which must make it print one JSON line when it is ready.

    Its standard error is the test's own, so that pytest shows it for a test that fails.

    Args:
        arguments: The command and its options.
        environment: Added to the test's own; `S1_*` variables of the test's own are left out.
        stderr: A file for its standard error, in place of the test's own.

    Raises:
        EndOfStream: It ended before it was ready.
        TimeoutError: It was not ready within TIMEOUT_S.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("S1_")}
    process = await fork_python(
        ["-m", "chimera_s1", *arguments],
        {**kept, **(environment or {})},
        stderr=stderr.fileno() if stderr else _STDERR,
    )
    assert process.stdout is not None
    running = ChimeraProcess(process, BufferedByteReceiveStream(process.stdout))
    try:
        with anyio.fail_after(TIMEOUT_S):
            running.ready = await running.read_json_line()
        yield running
    finally:
        with anyio.CancelScope(shield=True):
            await _end(running)


def simulator_process(*options: str) -> AbstractAsyncContextManager[ChimeraProcess]:
    """Run the Binance simulator with *options*; `ready` holds its five URLs."""
    return chimera_process("simulate", "--json", *options)


async def finished(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run `chimera-s1` with *arguments* to its end.

    Returns:
        Exit code, standard output, standard error.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("S1_")}
    with anyio.fail_after(TIMEOUT_S):
        command = ["-m", "chimera_s1", *arguments]
        async with await fork_python(command, {**kept, **(environment or {})}) as process:
            async with anyio.create_task_group() as tasks:
                out = tasks.create_task(_text(process.stdout))
                err = tasks.create_task(_text(process.stderr))
            return await process.wait(), out.return_value, err.return_value


async def _text(pipe: ByteReceiveStream | None) -> str:
    """What is written to it until its end."""
    assert pipe is not None
    return b"".join([part async for part in pipe]).decode()


async def _end(running: ChimeraProcess) -> None:
    try:
        await running.stop()
    except TimeoutError:
        running.process.kill()
        await running.process.wait()
    finally:
        await running.process.aclose()


class ProcessEnds:
    """Waits for the end of processes that need not be our children; open it while they run."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._descriptors = {pid: os.pidfd_open(pid) for pid in pids}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def __len__(self) -> int:
        return len(self._descriptors)

    async def wait(self) -> None:
        for descriptor in self._descriptors.values():
            with anyio.fail_after(TIMEOUT_S):
                await anyio.wait_readable(descriptor)


def is_running(pid: int) -> bool:
    """False also for a process that ended and was not waited for."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
