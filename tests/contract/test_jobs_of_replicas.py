"""Three instances on one store: a job runs once, also when its owner ends during the run."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from tests.arango_double import ArangoDouble, arango_double

SAFETY_S = 240
LINE_BYTES_MAX = 1_000


class Instance:
    """A running `job_instance`; `lines` are what it has printed."""

    def __init__(self, name: str, process: Process) -> None:
        assert process.stdout is not None
        self.name = name
        self.process = process
        self.lines: list[str] = []
        self._reader = BufferedByteReceiveStream(process.stdout)

    async def wait_for(self, line: str) -> None:
        """Return when it has printed *line*."""
        while line not in self.lines:
            printed = await self._reader.receive_until(b"\n", LINE_BYTES_MAX)
            self.lines.append(printed.decode())

    async def end_run(self) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(b"end\n")


@asynccontextmanager
async def instance(name: str, double: ArangoDouble) -> AsyncIterator[Instance]:
    command = [sys.executable, "-m", "tests.contract.job_instance", name, *double.urls]
    async with await anyio.open_process(ending_with_parent(command), stderr=None) as process:
        try:
            yield Instance(name, process)
        finally:
            if process.returncode is None:
                process.kill()


async def first_to_begin(instances: list[Instance]) -> Instance:
    """The one that begins to run the job; it must be one."""
    began: list[Instance] = []
    async with anyio.create_task_group() as tasks:

        async def watch(each: Instance) -> None:
            await each.wait_for("begin")
            began.append(each)
            tasks.cancel_scope.cancel()

        for each in instances:
            tasks.start_soon(watch, each)
    [first] = began
    return first


async def test_a_run_that_does_not_end_is_repeated_by_one_other_instance() -> None:
    """The first owner is killed during the run, the second one is stopped in order."""
    with arango_double(coordinators=2) as double, anyio.fail_after(SAFETY_S):
        async with AsyncExitStack() as stack:
            instances = [await stack.enter_async_context(instance(n, double)) for n in "abc"]
            owner = await first_to_begin(instances)
            standbys = [each for each in instances if each is not owner]
            for each in standbys:
                await each.wait_for(f"sees running {owner.name}")
            assert not [each for each in standbys if "begin" in each.lines]

            owner.process.kill()
            assert await owner.process.wait() == -signal.SIGKILL

            second = await first_to_begin(standbys)
            [third] = [each for each in standbys if each is not second]
            assert "job.interrupted" in second.lines
            await third.wait_for(f"sees running {second.name}")
            assert "begin" not in third.lines

            second.process.terminate()
            await third.wait_for(f"sees interrupted {second.name}")
            await second.end_run()  # its thread still waits for the line
            assert await second.process.wait() == 0

            await third.wait_for("begin")
            await third.end_run()
            await third.wait_for(f"sees ok {third.name}")
            assert [each.lines.count("begin") for each in instances] == [1, 1, 1]
