"""Transfers from the request to the answer: a real service, the simulator, clients that wait for
each answer before they ask again.

Every transfer has an amount of its own, since one waits while another of the same amount has no
known outcome.
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
from tests.load.large_exchange import SYMBOL
from tests.load.measuring import NothingMeasuredError, quantile_of
from tests.load.running import Reading, Service, child
from tests.load.stage import Stage

CLIENTS = (1, 4, 16)
SECONDS, SECONDS_QUICK = 15.0, 3.0
TRANSFER = "/xchg/treasury/transfer"
PATIENCE_S = 20.0
SMALLEST = Decimal("0.00000001")


class Answers(Struct, frozen=True):
    """Of one run.

    Attributes:
        waits_ms: From the request to the answer, each.

        seconds: How long it ran.

        before: The service at its beginning.

        after: At its end.
    """

    waits_ms: list[float]
    seconds: float
    before: Reading
    after: Reading

    def cells(self, clients: int) -> tuple[str, ...]:
        """A line of the table."""
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


class Bank:
    """Asks for transfers, each once, and takes nothing but a done one for an answer."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._numbers = count(1)
        self.waits_ms: list[float] = []

    async def ask(self) -> None:
        """Ask for transfers, one after the other, until cancelled."""
        while True:
            number = next(self._numbers)
            source, target = ("SPOT", "FUTURES") if number % 2 else ("FUTURES", "SPOT")
            body = {"from": source, "to": target, "amount_usdt": str(1 + number * SMALLEST)}
            began = time.perf_counter()
            reply = await self._client.post(
                TRANSFER, json=body, headers={"Idempotency-Key": str(uuid4())}
            )
            if reply.status_code != httpx2.codes.OK or reply.json()["result"] != "OK":
                raise NothingMeasuredError(f"{reply.status_code}: {reply.text}")
            self.waits_ms.append((time.perf_counter() - began) * 1000)


async def bench_treasury_transfers(stage: Stage) -> None:
    """Print the table."""
    head = ("clients", "transfers/s", "p50", "p99", "the service, of a core", "CPU a transfer")
    lines: list[tuple[str, ...]] = [head]
    for clients in stage.some(CLIENTS):
        answers = await _run(stage, clients, SECONDS_QUICK if stage.quick else SECONDS)
        lines.append(answers.cells(clients))
    stage.report.grid(
        "Transfers, from the request to the answer that the money has moved",
        lines,
        "Each is four durable commits, the last after the answer, and one request to the "
        "simulator on a connection of its own. Histories are read, rows projected and events "
        "relayed meanwhile. Limits are out of the way: Binance allows an account 200 transfers a "
        "minute.",
    )


async def _run(stage: Stage, clients: int, seconds: float) -> Answers:
    async with _service(stage) as (service, client):
        bank = Bank(client)
        before = await service.read()
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                for _ in range(clients):
                    tasks.start_soon(bank.ask)
        after = await service.read()
    if not bank.waits_ms:
        raise NothingMeasuredError("no transfer was done")
    return Answers(bank.waits_ms, after.at_s - before.at_s, before, after)


@asynccontextmanager
async def _service(stage: Stage) -> AsyncIterator[tuple[Service, httpx2.AsyncClient]]:
    """A service before a simulator of its own, and a client that may have money moved."""
    token, record = make_token(
        "bench",
        secrets.token_bytes(SECRET_BYTES),
        actor="bench",
        scopes=list(Scope),
        created_at=SystemClock().now_ms(),
    )
    core = stage.rig.cores.service[0]
    with TemporaryDirectory(prefix="chimera-bench-tokens-") as name:
        tokens = Path(name) / "tokens.json"
        write_token_file(tokens, [record])
        async with child(stage.rig.cores.sender, "tests.load.large_exchange") as exchange:
            addresses = SimulatorAddresses(**await exchange.line())
            async with (
                stage.rig.service(0, core=core, **_settings(addresses, tokens)) as service,
                httpx2.AsyncClient(
                    base_url=service.url,
                    timeout=PATIENCE_S,
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
