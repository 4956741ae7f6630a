"""A child process that the system ends when its parent does, even by SIGKILL.

The command is run through this file as a script: it asks for a signal at the end of its parent
(Linux, `PR_SET_PDEATHSIG`) and then becomes the command, under the same process id. The system
counts as parent the *thread* that started the child: start one from a thread that lives as long as
the child may. Other systems have no such signal; there a child of a killed parent stays.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_EXIT_PARENT_ENDED = 1
_EXIT_NOT_RUN = 127


def ending_with_parent(
    command: Sequence[str], number: signal.Signals = signal.SIGTERM
) -> tuple[str, ...]:
    """The command line that runs *command*, a program and its arguments; it gets *number* when the
    calling process ends.
    """
    # -I and -S: without the environment and site packages, Python starts in about 20 ms.
    script = (sys.executable, "-I", "-S", __file__)
    return (*script, str(os.getpid()), str(number.value), *command)


def _run(parent: int, number: int, command: list[str]) -> None:
    """Become *command*."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(_EXIT_PARENT_ENDED)  # it ended before the system knew of our request
    try:
        os.execvp(command[0], command)  # noqa: S606 (its callers name the program)
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
        sys.exit(_EXIT_NOT_RUN)


if __name__ == "__main__":
    _run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
