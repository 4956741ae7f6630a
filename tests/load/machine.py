"""The machine a benchmark runs on: which core does what, and what a process has used."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from msgspec import Struct


class Cores(Struct, frozen=True):
    """Who runs where: the load, Redis and the consumers on one core, the service on the others."""

    sender: int
    service: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """True where one core has to do both; figures are then of little use."""
        return self.sender in self.service


def divide_cores() -> Cores:
    """The cores this process may use: the first for the load, the rest for the service."""
    first, *rest = sorted(os.sched_getaffinity(0))
    return Cores(first, tuple(rest) or (first,))


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started in this block runs on *core* only; it inherits that."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """CPU time a process has used, user and system, all threads, s; exact, not counted in ticks."""
    # The kernel's name for another process's CPU clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


def rss_mib(pid: int) -> float:
    """Memory of a process that is in RAM now, MiB."""
    rss_bytes: int = psutil.Process(pid).memory_info().rss
    return rss_bytes / 2**20


def describe(cores: Cores) -> str:
    """One line about the machine, for the head of the tables."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [
        line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "model name" in line
    ]
    model = models[0] if models else platform.machine()
    kernel = platform.release().partition("-")[0]
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {model}, {os.cpu_count()} cores, "
        f"Linux {kernel}, Python {platform.python_version()}; "
        f"sender and Redis on core {cores.sender}, service on {_list(cores.service)}"
    )


def _list(cores: tuple[int, ...]) -> str:
    return f"core {cores[0]}" if len(cores) == 1 else f"cores {', '.join(map(str, cores))}"
