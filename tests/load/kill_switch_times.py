"""How long the kill switch takes: `make bench-kill-switch`.

A real service publishes every update of a simulated market and accepts transfers; the key is set
and deleted again and again, at random moments. Figures are printed, nothing is asserted.
"""

import argparse
import random
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from msgspec import Struct, field
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.operations.trading_gate import KillSwitchOnError
from chimera_s1.domain.treasury.limits import LimitRule
from tests.contract.service_process import redis_at, service_process, simulated
from tests.contract.treasury_service_client import TOKENS, TRADER_TOKEN
from tests.load.report import say
from tests.processes import simulator_process

STREAM = "mkt:events:spot:BTCUSDT"
OBSERVED_MS = 1_000
LOOK_AGAIN_S = 0.005
ABOVE_MAX = LimitRule.ABOVE_MAX.value

_clock = SystemClock()


class Times(Struct):
    """Ms from SET, or DEL, of each round."""

    last_entry: list[float] = field(default_factory=list)
    first_503: list[float] = field(default_factory=list)
    next_entry: list[float] = field(default_factory=list)
    first_accepted: list[float] = field(default_factory=list)


class Bench:
    def __init__(self, redis: Redis, http: httpx2.AsyncClient) -> None:
        self._redis = redis
        self._http = http
        self._requests = 0
        self.times = Times()

    async def round(self) -> None:
        await anyio.sleep(random.uniform(0, 0.5))
        await self._redis.set("kill_switch", "on")
        await self._observe(self._last_entry, KillSwitchOnError.code, self.times.first_503)
        await self._redis.delete("kill_switch")
        await self._observe(self._next_entry, ABOVE_MAX, self.times.first_accepted)

    async def _observe(
        self,
        entries: Callable[[float], Coroutine[Any, Any, None]],
        expected: str,
        into: list[float],
    ) -> None:
        began_ms = _clock.monotonic_ms()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(entries, began_ms)
            while await self._refusal() != expected:
                pass
            into.append(_clock.monotonic_ms() - began_ms)

    async def wait_until_money_moves(self) -> None:
        while await self._refusal() != ABOVE_MAX:  # noqa: ASYNC110 (another process)
            await anyio.sleep(LOOK_AGAIN_S)

    async def _refusal(self) -> str:
        """The code of a transfer that no limit allows: no money is moved."""
        self._requests += 1
        reply = await self._http.post(
            "/xchg/treasury/transfer",
            json={"from": "SPOT", "to": "FUT", "amount_usdt": "999999"},
            headers={
                "Authorization": f"Bearer {TRADER_TOKEN}",
                "Idempotency-Key": f"bench-{self._requests}",
            },
        )
        return str(reply.json()["code"])

    async def _last_entry(self, began_ms: float) -> None:
        """When the newest entry changed last, observed for a second."""
        newest, changed_ms = await self._newest(), began_ms
        while (now_ms := _clock.monotonic_ms()) < began_ms + OBSERVED_MS:
            if (found := await self._newest()) != newest:
                newest, changed_ms = found, now_ms
            await anyio.sleep(LOOK_AGAIN_S)
        self.times.last_entry.append(changed_ms - began_ms)

    async def _next_entry(self, began_ms: float) -> None:
        newest = await self._newest()
        while await self._newest() == newest:  # noqa: ASYNC110 (another process)
            await anyio.sleep(LOOK_AGAIN_S)
        self.times.next_entry.append(_clock.monotonic_ms() - began_ms)

    async def _newest(self) -> str:
        entries: Any = await self._redis.xrevrange(STREAM, count=1)
        return str(entries[0][0])


async def run(rounds: int) -> None:
    with TemporaryDirectory(prefix="chimera-bench-") as name:
        directory = Path(name)
        write_token_file(directory / "tokens.json", TOKENS)
        async with (
            simulator_process("--symbols", "BTCUSDT", "--rate", "100") as simulator,
            EmbeddedRedis(directory / "redis", binary=find_redis_server("")) as cluster,
        ):
            environ = {
                **simulated(simulator.ready, "spot/BTCUSDT"),
                "S1_BINANCE_KEY": DEMO_KEY.key,
                "S1_BINANCE_SECRET": DEMO_KEY.secret,
                "S1_API_TOKENS_FILE": str(directory / "tokens.json"),
                "S1_RATE_LIMIT_PER_S": "1000",
                "S1_CONFLATION_MS": "0",
                "S1_REDIS_ADDRESSES": str(cluster.addresses[0]),
            }
            async with service_process(directory / "state", environ) as service:
                await service.readiness(200)
                async with (
                    redis_at(cluster.addresses[0].port) as redis,
                    httpx2.AsyncClient(base_url=await service.url(), trust_env=False) as http,
                ):
                    bench = Bench(redis, http)
                    await bench.wait_until_money_moves()
                    for _ in range(rounds):
                        await bench.round()
    _print(bench.times, rounds)


def _print(times: Times, rounds: int) -> None:
    say(f"## The kill switch, {rounds} rounds, polled every 250 ms, window 0\n")
    say("| from | to | p50 | p99 | most |")
    say("|---|---|---|---|---|")
    for begun, until, measured in (
        ("SET", "the last published entry", times.last_entry),
        ("SET", "the first 503", times.first_503),
        ("DEL", "the next published entry", times.next_entry),
        ("DEL", "the first transfer that is judged again", times.first_accepted),
    ):
        p50, p99, most = _percentiles(measured)
        say(f"| {begun} | {until} | {p50:.0f} ms | {p99:.0f} ms | {most:.0f} ms |")


def _percentiles(measured: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(measured)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return ordered[len(ordered) // 2], p99, ordered[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    anyio.run(run, parser.parse_args().rounds)
