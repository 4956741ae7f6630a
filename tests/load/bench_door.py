"""Quotes while the HTTP server is attacked: `make bench-door`.

It needs nothing of the server but its port, so it also runs on an older service, for a comparison.
The latency of a window is read from Redis and not over HTTP: an entry's id carries the window's
end, and the bench notes when it can read the entry.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from tests.load.bench_context import BenchContext
from tests.load.book_frames import symbol_name
from tests.load.door_attacks import ATTACKS
from tests.load.figures import quantile_of
from tests.load.machine import rss_mib
from tests.load.processes import Service, child

SYMBOLS = 200
RATE = 5_000
WINDOW_MS = 100
STRETCH_S = 12.0
HEALTH_TIMEOUT_S = 1.0
QUIET = "none"

_clock = SystemClock()


class Stretch(Struct, frozen=True):
    """Figures of a time with one attack.

    Attributes:
        latencies_ms: Of each window: from its end until its entry could be read.
        expected: Windows there should have been.
        healthy, asked: `GET /health` on a new connection, answered with 200 within a second.
        alive: The process has not ended.
    """

    latencies_ms: Sequence[float]
    expected: int
    healthy: int
    asked: int
    rss_mib: float
    alive: bool


async def bench_door(bench: BenchContext) -> None:
    lines: list[tuple[str, ...]] = [
        ("attack", "windows", "p50", "p99", "latest", "/health", "RSS", "service")
    ]
    for attack in (QUIET, *ATTACKS):
        stretch = await _under(bench, attack)
        late = stretch.latencies_ms
        figures = (
            [f"{quantile_of(late, q):,.0f} ms" for q in (0.5, 0.99)] + [f"{max(late):,.0f} ms"]
            if late
            else ["-"] * 3
        )
        lines.append(
            (
                attack,
                f"{len(late)} of {stretch.expected}",
                *figures,
                f"{stretch.healthy} of {stretch.asked}",
                f"{stretch.rss_mib:.0f} MiB" if stretch.alive else "-",
                "runs" if stretch.alive else "**ended**",
            )
        )
    bench.report.grid(
        f"Quotes under attack, {SYMBOLS} symbols, {RATE:,}/s, window {WINDOW_MS} ms",
        lines,
        f"{bench.seconds(STRETCH_S):g} s each, on a new service. From a window's end until its "
        "entry can be read from Redis, one stream; /health: on a new connection, within "
        f"{HEALTH_TIMEOUT_S:g} s.",
    )


async def _under(bench: BenchContext, attack: str) -> Stretch:
    async with (
        bench.rig.sender(SYMBOLS, RATE) as port,
        bench.rig.service(port, conflation_ms=str(WINDOW_MS)) as service,
        connect_cluster(bench.redis.addresses) as client,
        AsyncExitStack() as stack,
    ):
        await anyio.sleep(bench.seconds(2.0))
        if attack != QUIET:
            server = str(urlsplit(service.url).port)
            attacker = await stack.enter_async_context(
                child(
                    bench.rig.cores.sender,
                    "tests.load.door_attacks",
                    "--port",
                    server,
                    "--attack",
                    attack,
                )
            )
            await attacker.line()
        return await _observe(client, service, bench.seconds(STRETCH_S))


async def _observe(client: ClusterClient, service: Service, seconds: float) -> Stretch:
    probes: list[bool] = []
    latencies_ms: list[float] = []
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ask_health, service.url, probes)
            tasks.start_soon(_read_windows, client, latencies_ms)
    alive = service.running
    return Stretch(
        latencies_ms,
        int(seconds * 1000 / WINDOW_MS),
        sum(probes),
        len(probes),
        rss_mib(service.pid) if alive else 0.0,
        alive,
    )


async def _read_windows(client: ClusterClient, latencies_ms: list[float]) -> None:
    stream = quote_stream(InstrumentId(Venue.SPOT, parse_symbol(symbol_name(0))))
    last = "$"
    while True:
        found: Any = await client.xread({stream: last}, block=1_000)
        now_ms = _clock.now_ms()
        for _, entries in found or ():
            for entry_id, _ in entries:
                last = entry_id
                latencies_ms.append(now_ms - int(str(entry_id).partition("-")[0]))


async def _ask_health(url: str, probes: list[bool]) -> None:
    while True:
        try:
            async with httpx2.AsyncClient(timeout=HEALTH_TIMEOUT_S) as http:
                probes.append((await http.get(f"{url}/health")).is_success)
        except httpx2.HTTPError:
            probes.append(False)
        await anyio.sleep(0.25)
