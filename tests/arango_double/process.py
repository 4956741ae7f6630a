"""
The double as a process of its own, for tests that kill it.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

_ROOT = Path(__file__).parents[2]


class Ready(Struct, frozen=True):
    """
    The line it prints.

    Attributes:
        urls: One of each coordinator.

        control_url: Takes what `control` lists.
    """

    urls: list[str]
    control_url: str


@contextmanager
def double_process(
    coordinators: int = 1, port: int = 0
) -> Iterator[tuple[subprocess.Popen[bytes], Ready]]:
    """
    Run one while the context lasts; what it stores ends with it.

    Raises:
        DecodeError: It ended before it was ready; why is on its standard error, which is ours.
    """
    options = ("--coordinators", str(coordinators), "--port", str(port))
    command = [sys.executable, "-m", "tests.arango_double", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT) as running:
        assert running.stdout is not None
        try:
            yield running, msgspec.json.decode(running.stdout.readline(), type=Ready)
        finally:
            running.kill()
