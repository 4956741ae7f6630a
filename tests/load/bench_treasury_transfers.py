"""Transfers end to end: a real service, the simulator, and clients that send one request at a time.

Each transfer has a different amount: a transfer waits while one of the same amount is unresolved.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import anyio
import httpx2
from msgspec import Struct

from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorAddresses
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import SECRET_BYTES, make_token
from tests.load.bench_context import BenchContext
from tests.load.figures import NothingMeasuredError, quantile_of
from tests.load.large_exchange import SYMBOL
from tests.load.processes import Reading, Service, child

CLIENTS = (1, 4, 16)
SECONDS, SECONDS_QUICK = 15.0, 3.0
TRANSFER = "/xchg/treasury/transfer"
TIMEOUT_S = 20.0
AMOUNT_STEP = Decimal("0.00000001")


class RunResult(Struct, frozen=True):
    """Figures of one run; *waits_ms* are the times from request to reply."""

    waits_ms: list[float]
    seconds: float
    before: Reading
    after: Reading

    def cells(self, clients: int) -> tuple[str, ...]:
        done = len(self.waits_ms)
        cpu_s = self.after.cpu_s - self.before.cpu_s
        return (
            str(clients),
            f"{done / self.seconds:,.0f}",
            f"{quantile_of(self.waits_ms, 0.5):.1f} ms",
            f"{quantile_of(self.waits_ms, 0.99):.1f} ms",
            f"{cpu_s / self.seconds:.0%}",
            f"{cpu_s / done * 1000:.1f} ms",
        )


class TransferClient:
    """Requests transfers, each once; any result but OK is an error."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._numbers = count(1)
        self.waits_ms: list[float] = []

    async def run(self) -> None:
        """Request transfers one after the other until cancelled."""
        while True:
            number = next(self._numbers)
            source, target = ("SPOT", "FUT") if number % 2 else ("FUT", "SPOT")
            body = {"from": source, "to": target, "amount_usdt": str(1 + number * AMOUNT_STEP)}
            began = time.perf_counter()
            reply = await self._client.post(
                TRANSFER, json=body, headers={"Idempotency-Key": str(uuid4())}
            )
            if reply.status_code != httpx2.codes.OK or reply.json()["result"] != "OK":
                raise NothingMeasuredError(f"{reply.status_code}: {reply.text}")
            self.waits_ms.append((time.perf_counter() - began) * 1000)


async def bench_treasury_transfers(bench: BenchContext) -> None:
    head = ("clients", "transfers/s", "p50", "p99", "the service, of a core", "CPU a transfer")
    lines: list[tuple[str, ...]] = [head]
    for clients in bench.some(CLIENTS):
        result = await _run(bench, clients, SECONDS_QUICK if bench.quick else SECONDS)
        lines.append(result.cells(clients))
    bench.report.grid(
        "Transfers, from the request to the answer that the money has moved",
        lines,
        "Each transfer makes four durable commits, the last after the reply, and one request to "
        "the simulator on a new connection. Histories are read, rows projected and events relayed "
        "meanwhile. The limits are raised: Binance allows an account 200 transfers a minute.",
    )


async def _run(bench: BenchContext, clients: int, seconds: float) -> RunResult:
    async with _service(bench) as (service, client):
        transfers = TransferClient(client)
        before = await service.read()
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                for _ in range(clients):
                    tasks.start_soon(transfers.run)
        after = await service.read()
    if not transfers.waits_ms:
        raise NothingMeasuredError("no transfer was done")
    return RunResult(transfers.waits_ms, after.at_s - before.at_s, before, after)


@asynccontextmanager
async def _service(bench: BenchContext) -> AsyncIterator[tuple[Service, httpx2.AsyncClient]]:
    """A service with its own simulator, and a client allowed to request transfers."""
    token, record = make_token(
        "bench",
        secrets.token_bytes(SECRET_BYTES),
        actor="bench",
        scopes=list(Scope),
        created_at=SystemClock().now_ms(),
    )
    core = bench.rig.cores.service[0]
    with TemporaryDirectory(prefix="chimera-bench-tokens-") as name:
        tokens = Path(name) / "tokens.json"
        write_token_file(tokens, [record])
        async with child(bench.rig.cores.sender, "tests.load.large_exchange") as exchange:
            addresses = SimulatorAddresses(**await exchange.line())
            async with (
                bench.rig.service(0, core=core, **_settings(addresses, tokens)) as service,
                httpx2.AsyncClient(
                    base_url=service.url,
                    timeout=TIMEOUT_S,
                    headers={"Authorization": f"Bearer {token}"},
                ) as client,
            ):
                yield service, client


def _settings(addresses: SimulatorAddresses, tokens: Path) -> dict[str, str]:
    return {
        "symbols": SYMBOL,
        "binance_spot_rest_url": addresses.spot_rest_url,
        "binance_spot_ws_url": addresses.spot_ws_url,
        "binance_perp_rest_url": addresses.perp_rest_url,
        "binance_key": DEMO_KEY.key,
        "binance_secret": DEMO_KEY.secret,
        "api_tokens_file": str(tokens),
        "rate_limit_per_s": "10000",
        "treasury_daily_cap": "1000000000",
    }
