"""The machine of a benchmark: assignment of cores, CPU time and memory of processes."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from msgspec import Struct


class Cores(Struct, frozen=True):
    """The load, Redis and the consumers run on *sender*, the service on the other cores."""

    sender: int
    service: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """True if only one core is available; the figures then mean little."""
        return self.sender in self.service


def divide_cores() -> Cores:
    """The first available core for the load, the others for the service."""
    first, *rest = sorted(os.sched_getaffinity(0))
    return Cores(first, tuple(rest) or (first,))


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Pin this process, and processes started in the block, to *core*."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """CPU time of a process, user and system, all threads; exact, not in ticks."""
    # The clock id of another process, as computed by clock_getcpuclockid(3).
    return time.clock_gettime((~pid << 3) | 2)


def rss_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    rss_bytes: int = psutil.Process(pid).memory_info().rss
    return rss_bytes / 2**20


def describe(cores: Cores) -> str:
    """One line about the machine, printed above the tables."""
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
