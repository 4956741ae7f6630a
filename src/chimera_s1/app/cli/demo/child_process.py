"""A `chimera-s1` command as a child process that is stopped with its parent."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import Self

import anyio
import psutil
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.domain.errors import ChimeraError

STOP_TIMEOUT_S = 20.0
"""After SIGTERM the service finishes running requests (15 s); then follows SIGKILL."""

LINE_BYTES_MAX = 65_536
_LAST_LINES = 8
_MARKER_VARIABLE = "CHIMERA_S1_CHILD_OF"
_POLL_INTERVAL_S = 0.05


class ChildEndedError(ChimeraError):
    """A child process exited by itself, or was not ready in time."""

    code = "child.ended"


class ChildProcess:
    """One command, running inside the `async with` block; its output goes to its log."""

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], directory: Path
    ) -> None:
        """Args:
        arguments: Of `chimera-s1`; the first names the command and the child.

        environ: The child's whole environment.

        directory: For `<name>.log`; also marks the process for `end_orphans`.
        """
        self.name = arguments[0]
        self.log = directory / f"{self.name}.log"
        self._arguments = tuple(arguments)
        self._environ = {**environ, _MARKER_VARIABLE: str(directory.resolve())}
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches the parent only.
            self._process = await anyio.open_process(
                ending_with_parent([sys.executable, "-m", "chimera_s1", *self._arguments]),
                stdin=None,
                stdout=PIPE,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._stop()

    @property
    def process(self) -> Process:
        assert self._process is not None, "use the child as an async context manager"
        return self._process

    async def first_line(self) -> bytes:
        """The first line of standard output.

        Raises:
            ChildEndedError: The child exited before it wrote one.
        """
        assert self.process.stdout is not None
        try:
            return await BufferedByteReceiveStream(self.process.stdout).receive_until(
                b"\n", LINE_BYTES_MAX
            )
        except anyio.IncompleteRead:
            raise await self.wait_ended() from None

    async def wait_ended(self) -> ChildEndedError:
        """Wait until the child exits, copying its output to the log; the error to raise."""
        assert self.process.stdout is not None
        with self.log.open("ab") as log:
            async for chunk in self.process.stdout:
                log.write(chunk)
                log.flush()
        code = await self.process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return ChildEndedError(f"{self.name} exited with {how}; see {self.log}{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of the log, indented, each line after a line break."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "".join(f"\n  {self.name}: {line}" for line in lines[-_LAST_LINES:])

    async def _stop(self) -> None:
        process = self.process
        with anyio.move_on_after(STOP_TIMEOUT_S), suppress(ProcessLookupError):
            process.terminate()
            await process.wait()
        with suppress(ProcessLookupError):
            # The session: also processes that the child started and did not stop.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()


async def end_orphans(directory: Path) -> int:
    """Stop the children of a killed parent that have not ended with it; how many there were.

    One that is suspended or still stops. They are recognised by a variable in their environment
    that names *directory*.
    """
    found = _find_orphans(directory)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _find_orphans(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)
        with anyio.move_on_after(STOP_TIMEOUT_S):
            while _find_orphans(directory):  # noqa: ASYNC110 (only a parent is notified)
                await anyio.sleep(_POLL_INTERVAL_S)
    return len(found)


def _find_orphans(directory: Path) -> list[int]:
    mark = str(directory.resolve())
    # None for a process that has exited or belongs to another user.
    environments = {each.pid: each.info["environ"] for each in psutil.process_iter(["environ"])}
    return [
        pid
        for pid, environ in environments.items()
        if environ and environ.get(_MARKER_VARIABLE) == mark
    ]
