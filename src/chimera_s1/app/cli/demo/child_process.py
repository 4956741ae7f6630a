"""A `chimera-s1` command as a child process: started, watched, ended, and never left behind."""

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

from chimera_s1.domain.errors import ChimeraError

STOP_TIMEOUT_S = 20.0
"""SIGTERM lets the service end what it has begun (15 s) before SIGKILL ends everything."""

LINE_BYTES_MAX = 65_536
_LAST_LINES = 8
_MARKER_VARIABLE = "CHIMERA_S1_CHILD_OF"
_POLL_INTERVAL_S = 0.05


class ChildEndedError(ChimeraError):
    """A child process ended by itself; the text names it, how it ended and where its log is."""

    code = "child.ended"


class ChildProcess:
    """One command, running inside the `async with` block; what it writes goes to its log."""

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], directory: Path
    ) -> None:
        """Args:
        arguments: Of `chimera-s1`; the first is the command's and the child's name.

        environ: Its whole environment.

        directory: Gets `<name>.log`; also marks the process, see `end_leftovers`.
        """
        self.name = arguments[0]
        self.log = directory / f"{self.name}.log"
        self._arguments = tuple(arguments)
        self._environ = {**environ, _MARKER_VARIABLE: str(directory.resolve())}
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches the parent, which ends this.
            self._process = await anyio.open_process(
                [sys.executable, "-m", "chimera_s1", *self._arguments],
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
        """The process, once started."""
        assert self._process is not None, "use the child as an async context manager"
        return self._process

    async def first_line(self) -> bytes:
        """The first line of its standard output.

        Raises:
            ChildEndedError: It ended before it wrote one.
        """
        assert self.process.stdout is not None
        try:
            return await BufferedByteReceiveStream(self.process.stdout).receive_until(
                b"\n", LINE_BYTES_MAX
            )
        except anyio.IncompleteRead:
            raise await self.wait_ended() from None

    async def wait_ended(self) -> ChildEndedError:
        """Wait until it ends, reading on what it writes.

        Returns:
            How it ended, in words, with the last lines of its log.
        """
        assert self.process.stdout is not None
        with self.log.open("ab") as log:
            async for chunk in self.process.stdout:
                log.write(chunk)
                log.flush()
        code = await self.process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return ChildEndedError(
            f"{self.name} ended with {how}; its log is {self.log}{self.last_lines()}"
        )

    def last_lines(self) -> str:
        """The end of its log, each line indented on a line of its own; empty where
        there is none.
        """
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "".join(f"\n  {self.name}: {line}" for line in lines[-_LAST_LINES:])

    async def _stop(self) -> None:
        process = self.process
        with anyio.move_on_after(STOP_TIMEOUT_S), suppress(ProcessLookupError):
            process.terminate()
            await process.wait()
        with suppress(ProcessLookupError):
            # Its session: whatever it started and could not end.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()


async def end_orphans(directory: Path) -> int:
    """End the children that a killed parent left running.

    A mark in their environment, which names *directory*, tells them from other processes.

    Returns:
        How many there were.
    """
    found = _find_orphans(directory)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _find_orphans(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with anyio.move_on_after(STOP_TIMEOUT_S):
            while _find_orphans(directory):  # noqa: ASYNC110 (only a child's parent is told of its end)
                await anyio.sleep(_POLL_INTERVAL_S)
    return len(found)


def _find_orphans(directory: Path) -> list[int]:
    mark = str(directory.resolve())
    # The environment of a process that is gone, or another user's, is None.
    environments = {each.pid: each.info["environ"] for each in psutil.process_iter(["environ"])}
    return [
        pid
        for pid, environ in environments.items()
        if environ and environ.get(_MARKER_VARIABLE) == mark
    ]
