"""Clients that send transfers to a service that is killed repeatedly and record its replies, and a
schedule of faults at the exchange.
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
"""Few enough to collide, enough to continue while some amounts are blocked by an open outcome."""

NEW_SHARE = 0.7
PAUSE_S = (0.0, 0.06)
FAULT_INTERVAL_S = (0.05, 0.25)
ARMED_MAX = 100
"""Faults that may wait to fire: while a service starts slowly nothing fires them, and the simulator
holds 200.
"""

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
    """The body of a request; the same for each repetition."""

    amount: str
    to_spot: bool


class ClientHistory:
    """The requests of all clients and their replies.

    Attributes:
        open: Requests without a final reply.
        results_by_key: OK, FAIL or PENDING of each 2xx reply, in order.
        rejected: Keys refused by a rule.
        statuses: Count of each HTTP status.
    """

    def __init__(self) -> None:
        self.open: dict[str, ClientRequest] = {}
        self.results_by_key: dict[str, list[str]] = {}
        self.rejected: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.requested = 0

    def record(self, key: str, reply: httpx2.Response) -> None:
        self.statuses[reply.status_code] += 1
        body: dict[str, Any] = reply.json()
        if reply.is_success:
            self.results_by_key.setdefault(key, []).append(body["result"])
        if reply.status_code == httpx2.codes.UNPROCESSABLE_CONTENT:
            self.rejected.add(key)
        if reply.status_code in {httpx2.codes.OK, httpx2.codes.UNPROCESSABLE_CONTENT}:
            self.open.pop(key, None)


class ReplayingClient:
    """All clients, and the service instance that currently runs."""

    def __init__(self, chance: random.Random, history: ClientHistory) -> None:
        self._chance = chance
        self._history = history
        self._url = ""
        self._up = anyio.Event()
        self._answers = 0
        self._answered = anyio.Event()

    def connect(self, url: str) -> None:
        self._url = url
        self._answers = 0
        self._up.set()

    async def answered(self, times: int) -> None:
        """Wait until this instance has sent *times* 2xx replies."""
        while self._answers < times:
            await self._answered.wait()

    def disconnect(self) -> None:
        self._up = anyio.Event()

    async def run(self) -> None:
        """Run one client until cancelled."""
        headers = {"Authorization": f"Bearer {TRADER_TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=10, trust_env=False) as http:
            while True:
                await self._up.wait()
                key, request = self._choose()
                try:
                    reply = await http.post(self._url + TRANSFER, json=_body(key, request))
                except httpx2.HTTPError:
                    self._history.lost += 1
                else:
                    self._history.record(key, reply)
                    self._count(reply)
                await anyio.sleep(self._chance.uniform(*PAUSE_S))

    def _count(self, reply: httpx2.Response) -> None:
        if reply.is_success:
            self._answers += 1
            self._answered.set()
            self._answered = anyio.Event()

    def _choose(self) -> tuple[str, ClientRequest]:
        history = self._history
        if history.open and self._chance.random() > NEW_SHARE:
            return self._chance.choice(list(history.open.items()))
        history.requested += 1
        key = f"kill-loop-{history.requested}"
        request = ClientRequest(self._chance.choice(AMOUNTS), self._chance.random() < 0.5)
        history.open[key] = request
        return key, request


class FaultSchedule:
    """Injects faults at the exchange; *fired* is up to date after `clear`."""

    def __init__(self, deployment: TreasuryDeployment, chance: random.Random) -> None:
        self._simulator = deployment.sim
        self._chance = chance
        self._armed = 0
        self.fired: Counter[str] = Counter()

    async def inject(self) -> None:
        """Arm random faults until cancelled."""
        while True:
            await anyio.sleep(self._chance.uniform(*FAULT_INTERVAL_S))
            if self._armed < ARMED_MAX:
                self._armed += 1
                await self._simulator.arm(*self._chance.choice(FAULTS))

    async def clear(self) -> None:
        """Remove the armed faults and count those that fired."""
        _, answer = await self._simulator.control("GET", "/sim/faults")
        for fault in answer["faults"]:
            self.fired[fault["do"]] += fault["fired"]
        await self._simulator.control("DELETE", "/sim/faults")
        self._armed = 0


def _body(key: str, request: ClientRequest) -> dict[str, str]:
    source, target = ("FUT", "SPOT") if request.to_spot else ("SPOT", "FUT")
    return {"transfer_id": key, "from": source, "to": target, "amount_usdt": request.amount}
