"""A child gets its signal when its parent ends, and is not started where that has happened."""

import os
import signal
import sys

import anyio
import pytest

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from tests.processes import ProcessEnds
from tests.time_limits import TIMEOUT_S

PARENT = """
import signal, subprocess, sys
from chimera_s1.adapters.ending_with_parent import ending_with_parent

child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
subprocess.Popen(ending_with_parent([sys.executable, "-c", child], signal.Signals.SIGUSR1))
signal.pause()
"""


async def exit_of(command: tuple[str, ...]) -> tuple[int, str]:
    done = await anyio.run_process(command, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


async def test_a_child_gets_the_signal_when_its_parent_is_killed() -> None:
    async with await anyio.open_process([sys.executable, "-c", PARENT], stderr=None) as parent:
        assert parent.stdout is not None
        with anyio.fail_after(TIMEOUT_S):
            child_pid = int(await parent.stdout.receive())
        with ProcessEnds([child_pid]) as child:
            parent.kill()
            await child.wait()


async def test_the_child_is_the_command() -> None:
    """Same process id, arguments, environment and exit code."""
    script = "import os, sys; print(sys.argv[1:], os.environ['HOME']); sys.exit(3)"

    code, text = await exit_of(ending_with_parent([sys.executable, "-c", script, "a b", ""]))

    assert (code, text) == (3, f"['a b', ''] {os.environ['HOME']}\n")


async def test_a_child_whose_parent_ended_first_does_not_start() -> None:
    """Between the start of the child and its request to the system."""
    started = [*ending_with_parent([sys.executable, "-c", "print('started')"])]
    started[started.index(str(os.getpid()))] = "1"

    assert await exit_of(tuple(started)) == (1, "")


async def test_a_program_that_cannot_be_run_is_named() -> None:
    assert await exit_of(ending_with_parent(["/no/such/program"])) == (
        127,
        "/no/such/program cannot be run: No such file or directory\n",
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_signal_is_in_the_command(number: signal.Signals) -> None:
    assert ending_with_parent(["/bin/true"], number)[-2:] == (str(number.value), "/bin/true")
