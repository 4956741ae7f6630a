"""Signed requests to the simulator, in the form of Binance's documentation.

async with trader(tasks) as account:
    status, body = await account.transfer("MAIN_UMFUTURE", "25")
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import anyio
import msgspec
from anyio.abc import TaskGroup

from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.ports.clock import Clock
from tests.simulator_client import (
    SimulatorClient,
    simulator_client,
)
from tests.time_limits import TIMEOUT_S

TRANSFER = "/sapi/v1/asset/transfer"
UNIVERSAL = "/sapi/v1/sub-account/universalTransfer"
_HOSTS = {"sapi": "spot_rest_url", "api": "spot_rest_url", "fapi": "perp_rest_url"}
_CLOCK = SystemClock()


class Account:
    """A client with an API key.

    Attributes:
        sim: The control plane.
        offset_ms: Exchange time minus local time, as this client believes it to be.
        headers: Of the last reply.
    """

    def __init__(
        self,
        sim: SimulatorClient,
        key: str = DEMO_KEY.key,
        secret: str = DEMO_KEY.secret,
        clock: Clock = _CLOCK,
    ) -> None:
        self.sim = sim
        self.key = key
        self.secret = secret
        self.offset_ms = 0
        self._clock = clock
        self.headers: Mapping[str, str] = {}

    @property
    def now_ms(self) -> int:
        return self._clock.now_ms() + self.offset_ms

    def signed(self, **parameters: Any) -> str:
        """The parameters, then the time, then the signature."""
        payload = urlencode({**parameters, "timestamp": parameters.get("timestamp", self.now_ms)})
        return f"{payload}&signature={self.signature(payload)}"

    def signature(self, payload: str) -> str:
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    async def send(
        self, method: str, path: str, query: str = "", body: str = ""
    ) -> tuple[int, Any]:
        """Status and parsed body of a request, sent byte for byte as given."""
        url = self.sim.urls[_HOSTS[path.split("/")[1]]] + path + (f"?{query}" if query else "")
        headers = {"X-MBX-APIKEY": self.key} if self.key else {}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with anyio.fail_after(TIMEOUT_S):
            async with self.sim.session.request(
                method, url, data=body or None, headers=headers
            ) as reply:
                self.headers = reply.headers
                content = await reply.read()
                return reply.status, msgspec.json.decode(content) if content else None

    async def get(self, path: str, **parameters: Any) -> tuple[int, Any]:
        return await self.send("GET", path, self.signed(**parameters))

    async def rows(self, direction: str, **parameters: Any) -> list[dict[str, Any]]:
        status, body = await self.get(TRANSFER, type=direction, **parameters)
        assert status == 200, body
        rows: list[dict[str, Any]] = body["rows"]
        return rows

    async def income(self, **parameters: Any) -> list[dict[str, Any]]:
        status, rows = await self.get("/fapi/v1/income", incomeType="TRANSFER", **parameters)
        assert status == 200, rows
        found: list[dict[str, Any]] = rows
        return found

    async def transfer(
        self, direction: str = "MAIN_UMFUTURE", amount: str = "25", **more: Any
    ) -> tuple[int, Any]:
        """A transfer of USDT, its parameters in the body."""
        parameters = {"type": direction, "asset": "USDT", "amount": amount, **more}
        return await self.send("POST", TRANSFER, body=self.signed(**parameters))

    async def set(self, **behaviour: Any) -> Any:
        status, view = await self.sim.control("POST", "/sim/wallet", behaviour)
        assert status == 200, view
        return view

    async def move_clock(self, offset_ms: int) -> None:
        """Set the exchange's clock ahead by *offset_ms*, and this client's with it."""
        await self.sim.control("POST", "/sim/clock", {"offset_ms": offset_ms})
        self.offset_ms = offset_ms

    async def moved(self) -> list[str]:
        """The amounts that really moved."""
        _, books = await self.sim.control("GET", "/sim/transfers")
        return [each["amount"] for each in books["transfers"]]

    async def balances(self) -> list[str]:
        """Spot, futures and in transit."""
        _, amounts = await self.sim.control("GET", "/sim/balances")
        return [amounts[name]["USDT"] for name in ("spot", "fut", "in_transit")]


@asynccontextmanager
async def running_simulator(config: SimulatorConfig) -> AsyncIterator[dict[str, str]]:
    """Its addresses; it runs in this process."""
    async with anyio.create_task_group() as tasks:
        addresses = await tasks.start(Simulator(config, _CLOCK).run)
        yield msgspec.structs.asdict(addresses)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def trader(
    tasks: TaskGroup,
    config: SimulatorConfig = SimulatorConfig(symbols=1),  # noqa: B008 (frozen)
) -> AsyncIterator[Account]:
    """A new simulator with 10,000 USDT in each wallet."""
    addresses = await tasks.start(Simulator(config, _CLOCK).run)
    async with simulator_client(msgspec.structs.asdict(addresses)) as sim:
        yield Account(sim)
