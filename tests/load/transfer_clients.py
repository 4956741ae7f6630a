"""Clients that send transfers to a service which keeps dying, and remember what they were told; and
the weather at the exchange.
"""

import random
from collections import Counter
from typing import Any

import anyio
import httpx2
from msgspec import Struct

from tests.contract.treasury_service import POST, TreasuryDeployment
from tests.contract.treasury_service_client import TRADER_TOKEN, TRANSFER

CLIENTS = 3
AMOUNTS = tuple(str(amount) for amount in range(5, 17))
"""Few enough to collide, enough to go on while some of them wait for an outcome."""

NEW_SHARE = 0.7
PAUSE_S = (0.0, 0.06)
CALM_S = (0.05, 0.25)
HISTORY = "GET /sapi/v1/asset/transfer"
FAULTS = (
    (POST, "drop-before"),
    (POST, "status:502"),
    (POST, "code:-1021"),
    (POST, "delay:500"),
    (POST, "execute-then-drop"),
    (POST, "execute-then-delay:500"),
    (POST, "execute-then-delay:1000"),
    (POST, "execute-then-code:-1007"),
    (POST, "body:truncated"),
    (HISTORY, "status:500"),
    (HISTORY, "drop-before"),
)


class ClientRequest(Struct, frozen=True):
    """What a client wants; the same for each time it asks."""

    amount: str
    back: bool


class ClientHistory:
    """What all clients want and were told.

    Attributes:
        open: Wishes without a final answer.

        results_by_key: For each key, what its 2xx answers said, in order: OK, FAIL or PENDING.

        rejected: Keys that a rule has refused.

        statuses: Of all answers.
    """

    def __init__(self) -> None:
        self.open: dict[str, ClientRequest] = {}
        self.results_by_key: dict[str, list[str]] = {}
        self.rejected: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.asked = 0

    def take(self, key: str, reply: httpx2.Response) -> None:
        """Remember *reply*."""
        self.statuses[reply.status_code] += 1
        body: dict[str, Any] = reply.json()
        if reply.is_success:
            self.results_by_key.setdefault(key, []).append(body["result"])
        if reply.status_code == httpx2.codes.UNPROCESSABLE_ENTITY:
            self.rejected.add(key)
        if reply.status_code in {httpx2.codes.OK, httpx2.codes.UNPROCESSABLE_ENTITY}:
            self.open.pop(key, None)


class ReplayingClient:
    """The clients together, and the service they talk to at the moment."""

    def __init__(self, draws: random.Random, memory: ClientHistory) -> None:
        self._draws = draws
        self._memory = memory
        self._url = ""
        self._up = anyio.Event()
        self._answers = 0
        self._answered = anyio.Event()

    def connect(self, url: str) -> None:
        """A service is there."""
        self._url = url
        self._answers = 0
        self._up.set()

    async def answered(self, times: int) -> None:
        """Wait until the service has answered so often with 2xx."""
        while self._answers < times:
            await self._answered.wait()

    def disconnect(self) -> None:
        """It is about to die."""
        self._up = anyio.Event()

    async def ask(self) -> None:
        """Be one client until cancelled."""
        headers = {"Authorization": f"Bearer {TRADER_TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=10, trust_env=False) as http:
            while True:
                await self._up.wait()
                key, wish = self._choose()
                try:
                    reply = await http.post(self._url + TRANSFER, json=_body(key, wish))
                except httpx2.HTTPError:
                    self._memory.lost += 1
                else:
                    self._memory.take(key, reply)
                    self._count(reply)
                await anyio.sleep(self._draws.uniform(*PAUSE_S))

    def _count(self, reply: httpx2.Response) -> None:
        if reply.is_success:
            self._answers += 1
            self._answered.set()
            self._answered = anyio.Event()

    def _choose(self) -> tuple[str, ClientRequest]:
        memory = self._memory
        if memory.open and self._draws.random() > NEW_SHARE:
            return self._draws.choice(list(memory.open.items()))
        memory.asked += 1
        key = f"kill-loop-{memory.asked}"
        wish = ClientRequest(self._draws.choice(AMOUNTS), self._draws.random() < 0.5)
        memory.open[key] = wish
        return key, wish


class FaultSchedule:
    """Faults at the exchange, one after the other.

    Attributes:
        fired: How many did, those of the present included once `clear` was called.
    """

    def __init__(self, site: TreasuryDeployment, draws: random.Random) -> None:
        self._sim = site.sim
        self._draws = draws
        self.fired: Counter[str] = Counter()

    async def blow(self) -> None:
        """Break something now and then, until cancelled."""
        while True:
            await anyio.sleep(self._draws.uniform(*CALM_S))
            on, deed = self._draws.choice(FAULTS)
            await self._sim.arm(on, deed)

    async def clear(self) -> None:
        """End all that is armed, and count what has fired."""
        _, answer = await self._sim.control("GET", "/sim/faults")
        for fault in answer["faults"]:
            self.fired[fault["do"]] += fault["fired"]
        await self._sim.control("DELETE", "/sim/faults")


def _body(key: str, wish: ClientRequest) -> dict[str, str]:
    source, target = ("FUTURES", "SPOT") if wish.back else ("SPOT", "FUTURES")
    return {"transfer_id": key, "from": source, "to": target, "amount_usdt": wish.amount}
