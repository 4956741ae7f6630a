"""Programs in processes of their own, forked from one that has loaded all modules of chimera-s1.

Loading them takes a second of CPU, and the tests start hundreds of processes. A demo starts its
simulator and its service by `python -m chimera_s1`, so tests/contract/test_demo.py runs that, too.
"""

import ctypes
import gc
import multiprocessing
import os
import pkgutil
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.to_thread import run_sync

import chimera_s1

_PR_SET_PDEATHSIG = 1
_DESCRIPTORS_MAX = 1_024
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        module.name
        for module in pkgutil.walk_packages(chimera_s1.__path__, "chimera_s1.")
        if not module.name.endswith(".__main__")
    ]
)


class _PipeReader(ByteReceiveStream):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await anyio.wait_readable(self._descriptor)
        if data := os.read(self._descriptor, max_bytes):
            return data
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class ForkedProcess(Process):
    """A running program. Its parent is the fork server, which ends with the tests."""

    def __init__(
        self,
        process: ForkServerProcess,
        stdout: _PipeReader | None,
        stderr: _PipeReader | None,
    ) -> None:
        self._process = process
        self._stdout = stdout
        self._stderr = stderr

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    @property
    def stdin(self) -> ByteSendStream | None:
        return None

    @property
    def stdout(self) -> ByteReceiveStream | None:
        return self._stdout

    @property
    def stderr(self) -> ByteReceiveStream | None:
        return self._stderr

    async def wait(self) -> int:
        while self.returncode is None:
            await anyio.wait_readable(self._process.sentinel)
        return self.returncode

    def send_signal(self, signal: signal.Signals) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, signal)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def aclose(self) -> None:
        """End it, wait for it, and close its pipes."""
        if self.returncode is None:
            self.kill()
        with anyio.CancelScope(shield=True):
            await self.wait()
            for pipe in (self._stdout, self._stderr):
                if pipe is not None:
                    await pipe.aclose()


async def fork_python(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    stdout: int = PIPE,
    stderr: int = PIPE,
) -> ForkedProcess:
    """Run a program with nothing on its standard input.

    Args:
        arguments: Of the interpreter: a script or `-m` and a module, then those of the program.
        environ: Its whole environment.
        stdout: PIPE, DEVNULL or a file descriptor.
        stderr: The same.
    """
    out, out_reader = _open(stdout)
    err, err_reader = _open(stderr)
    process = _CONTEXT.Process(
        target=_run,
        args=(list(arguments), dict(environ), str(Path.cwd()), out, err),
        daemon=True,
    )
    with out, err:
        await run_sync(process.start)
    return ForkedProcess(process, out_reader, err_reader)


def _open(where: int) -> tuple[Connection, _PipeReader | None]:
    """What the program writes to, and what reads it."""
    if where == PIPE:
        reading, writing = os.pipe()
        return Connection(writing, readable=False), _PipeReader(reading)
    descriptor = os.open(os.devnull, os.O_WRONLY) if where == DEVNULL else os.dup(where)
    return Connection(descriptor, readable=False), None


def _run(
    arguments: list[str],
    environ: dict[str, str],
    directory: str,
    out: Connection,
    err: Connection,
) -> None:
    """Become the program."""
    gc.freeze()  # a collection would touch, and so copy, the pages of all modules
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM.value, 0, 0, 0)
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    os.dup2(sys.stdin.fileno(), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    os.closerange(3, _DESCRIPTORS_MAX)  # one of them keeps the fork server alive after the tests
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(directory)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
