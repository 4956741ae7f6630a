"""What a sync of the instrument registry costs: `make bench-instruments`.

A real service reads a simulated market as large as Binance's, first and then unchanged, while it
publishes quotes. Figures are printed, nothing is asserted.
"""

import argparse
import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from msgspec import Struct, field

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.service_process import Service, service_process, simulated
from tests.load.figures import latency_ms, quantile_of
from tests.load.machine import describe, divide_cores, on_core, rss_mib
from tests.load.processes import Reading, read_metrics
from tests.load.report import Report, Row, say
from tests.processes import simulator_process

FIRST_SYNC = "instruments.sync"
WINDOW_MS = 100
ROUNDS = 3
"""Alternately, because another load on the machine changes with time."""
LOOK_AGAIN_S = 0.2
TOKEN, RECORD = make_token(
    "oper", b"o" * 32, actor="ops", scopes=[Scope.READ, Scope.JOBS_RUN], created_at=0
)


class Stored(Struct, frozen=True):
    """The registry in the database: `checked_at` and version of each row, and all changes."""

    checked: dict[tuple[str, str], int]
    versions: dict[tuple[str, str], int]
    changes: int


class Figures(Struct):
    """Of all syncs of an unchanged market; memory in MiB above that before the sync."""

    seconds: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)


class Bench:
    def __init__(self, service: Service, http: httpx2.AsyncClient, database: Path) -> None:
        self._pid = service.process.pid
        self._http = http
        self._database = database
        self.unchanged = Figures()
        self.loop_lag_ms: dict[bool, float] = {}

    async def first_sync(self) -> tuple[str, float]:
        """What it did, and its seconds."""
        while True:
            jobs = (await self._http.get("/xchg/jobs")).raise_for_status().json()["jobs"]
            [job] = [each for each in jobs if each["name"] == FIRST_SYNC]
            if job["result"] == "ok":
                return job["detail"], job["duration_ms"] / 1000
            await anyio.sleep(LOOK_AGAIN_S)

    async def sync(self) -> None:
        """Both venues, unchanged."""
        before_mib = rss_mib(self._pid)
        self._reset_peak()
        began_s = time.monotonic()
        (await self._http.post("/xchg/instruments/sync")).raise_for_status()
        self.unchanged.seconds.append(time.monotonic() - began_s)
        self.unchanged.memory_mib.append(self.peak_mib() - before_mib)

    async def latency(self, seconds: float, *, syncing: bool) -> tuple[float, float]:
        """p50 and p99 of `s1_publish_latency_seconds` during *seconds*, ms, upper bounds."""
        before = await self._read()
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            await (self.sync() if syncing else anyio.sleep(left_s))
            await self._see_loop_lag(syncing=syncing)
        now = await self._read()
        return latency_ms(before, now, 0.5), latency_ms(before, now, 0.99)

    async def _see_loop_lag(self, *, syncing: bool) -> None:
        """Of the last 5 s."""
        components = (await self._http.get("/health")).json()["components"]
        [loop] = [each["detail"] for each in components if each["name"] == "loop"]
        found = re.search(r"([0-9.]+) ms", loop)
        assert found is not None, loop
        self.loop_lag_ms[syncing] = max(self.loop_lag_ms.get(syncing, 0.0), float(found[1]))

    def _reset_peak(self) -> None:
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # proc(5)

    def peak_mib(self) -> float:
        """The most resident memory since the start, or since it was reset."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def stored(self) -> Stored:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            rows: list[Any] = connection.execute(
                "SELECT venue, symbol, checked_at, version FROM instrument_registry"
            ).fetchall()
            [[changes]] = connection.execute("SELECT count(*) FROM instrument_registry_changes")
        return Stored(
            {(venue, symbol): checked for venue, symbol, checked, _ in rows},
            {(venue, symbol): version for venue, symbol, _, version in rows},
            changes,
        )

    async def _read(self) -> Reading:
        return await read_metrics(self._http, self._pid)


async def run(seconds: float, rate: int) -> None:
    with TemporaryDirectory(prefix="chimera-bench-") as name:
        directory = Path(name)
        write_token_file(directory / "tokens.json", [RECORD])
        cores = divide_cores()
        say(f"{describe(cores)}\n")
        async with AsyncExitStack() as stack:
            with on_core(cores.sender):
                simulator = await stack.enter_async_context(
                    simulator_process("--whole-market", "--rate", str(rate))
                )
                cluster = await stack.enter_async_context(
                    EmbeddedRedis(directory / "redis", binary=find_redis_server(""))
                )
            environ = {
                **simulated(simulator.ready, "*"),
                "S1_API_TOKENS_FILE": str(directory / "tokens.json"),
                "S1_CONFLATION_MS": str(WINDOW_MS),
                "S1_REDIS_ADDRESSES": str(cluster.addresses[0]),
            }
            with on_core(cores.service[0]):
                service = await stack.enter_async_context(
                    service_process(directory / "state", environ)
                )
            http = await stack.enter_async_context(
                httpx2.AsyncClient(
                    base_url=await service.url(),
                    headers={"Authorization": f"Bearer {TOKEN}"},
                    timeout=120,
                    trust_env=False,
                )
            )
            database = directory / "state" / "s1.sqlite3"
            await measure(Bench(service, http, database), service, seconds)


async def measure(bench: Bench, service: Service, seconds: float) -> None:
    report = Report()
    done, first_s = await bench.first_sync()
    first_mib = bench.peak_mib()
    await service.readiness(200)
    await bench.sync()
    before = bench.stored()
    await bench.sync()
    after = bench.stored()
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        alone.append(await bench.latency(seconds, syncing=False))
        beside.append(await bench.latency(seconds, syncing=True))
    moved = sum(after.checked[key] != value for key, value in before.checked.items())
    report.table(
        "A sync of the instrument registry, in SQLite",
        [
            Row("first sync", f"{first_s:.1f} s ({done})"),
            Row("memory of the service after it, most", f"{first_mib:.0f} MiB"),
            Row("unchanged sync, median", f"{quantile_of(bench.unchanged.seconds, 0.5):.1f} s"),
            Row("unchanged sync, more memory, most", f"{max(bench.unchanged.memory_mib):.0f} MiB"),
            Row("unchanged sync: changes written", str(after.changes - before.changes)),
            Row("unchanged sync: rows with another version", str(_other(before, after))),
            Row("unchanged sync: rows whose checked_at moved", f"{moved} of {len(after.checked)}"),
        ],
    )
    count = len(bench.unchanged.seconds) - 2
    report.table(
        f"Window's end to the last acknowledgement, window {WINDOW_MS} ms, "
        f"{ROUNDS} times {seconds:.0f} s each",
        [
            Row("no sync: p50, p99, at most", _latencies(alone)),
            Row("no sync: loop late by, most", f"{bench.loop_lag_ms[False]:.0f} ms"),
            Row(f"{count} syncs, one after another: p50, p99, at most", _latencies(beside)),
            Row("syncs: loop late by, most", f"{bench.loop_lag_ms[True]:.0f} ms"),
        ],
    )


def _latencies(rounds: Sequence[tuple[float, float]]) -> str:
    p50s, p99s = zip(*rounds, strict=True)
    return f"{_milliseconds(p50s)}; {_milliseconds(p99s)}"


def _milliseconds(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values) + " ms"


def _other(before: Stored, after: Stored) -> int:
    return sum(after.versions[key] != version for key, version in before.versions.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=int, default=2_000, help="book updates per second")
    arguments = parser.parse_args()
    anyio.run(run, arguments.seconds, arguments.rate)


if __name__ == "__main__":
    main()
