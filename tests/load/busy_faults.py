"""The faults of the busy hour: what is armed at the simulator, and how often it fired."""

import random
from typing import Any

import anyio
from msgspec import Struct

from tests.simulator_client import SimulatorClient

EACH_TIMES = 3
FIRE_WITHIN_S = 90.0
_LOOK_AGAIN_S = 0.2

ORDERS = (
    "POST /api/v3/order",
    "POST /api/v3/orderList/oco",
    "POST /fapi/v1/order",
    "POST /fapi/v1/algoOrder",
)
CANCELS = ("DELETE /api/v3/order", "DELETE /fapi/v1/order", "DELETE /fapi/v1/algoOrder")
READS = (
    "GET /api/v3/openOrders",
    "GET /fapi/v1/openOrders",
    "GET /fapi/v1/openAlgoOrders",
    "GET /api/v3/order",
    "GET /fapi/v1/order",
    "GET /api/v3/myTrades",
    "GET /fapi/v1/userTrades",
)
USERS = ("user:spot", "user:perp")


class Fault(Struct, frozen=True):
    """One row of the report is a *name*; *times* is how often it is armed to fire."""

    name: str
    on: str
    do: str
    times: int = EACH_TIMES
    for_ms: int = 0


def _of(name: str, targets: tuple[str, ...], *actions: str, times: int = EACH_TIMES) -> list[Fault]:
    return [Fault(name, on, do, times) for do in actions for on in targets]


FAULTS: tuple[Fault, ...] = (
    *_of("reply lost, executed", ORDERS, "execute-then-drop"),
    *_of("reply lost, not executed", ORDERS, "drop-before"),
    *_of("reply lost, executed late", ORDERS, "drop-then-execute:1200"),
    *_of("503, executed late", ORDERS, "unavailable-then-execute:1500"),
    *_of("503, executed", ORDERS, "execute-then-unavailable"),
    *_of("503, not executed", ORDERS, "unavailable", "unavailable:internal"),
    *_of("503, throttled", ORDERS, "unavailable:throttled"),
    *_of("broken reply, executed", ORDERS, "body:html", "body:truncated"),
    *_of("wrong code, executed", ORDERS, "execute-then-code:-1007"),
    *_of("reply late, executed", ORDERS, "execute-then-delay:2500"),
    *_of("cancel lost, executed", CANCELS, "execute-then-drop", "execute-then-unavailable"),
    *_of("cancel lost, not executed", CANCELS, "drop-before", "unavailable"),
    *_of("cancel answered -2011", CANCELS, "code:-2011"),
    *_of("read failed", READS, "status:500", "drop-before", "body:truncated", times=1),
    *_of("event lost", USERS, "gap", times=6),
    *_of("event twice", USERS, "duplicate", times=6),
    *_of("events swapped", USERS, "reorder", times=6),
    *_of("event late", USERS, "delay:2500", times=3),
    *_of("event unreadable", USERS, "malformed", times=1),
    *_of("stream deaf", USERS, "silent", times=1),
    *_of("stream deaf", ("user:spot",), "end-subscription", times=1),
    *_of("socket closed", USERS, "disconnect", times=1),
    *_of("socket half-open", USERS, "half-open", times=1),
)


class FaultRunner:
    """Arms one fault after the other in a random order, until all have fired."""

    def __init__(self, sim: SimulatorClient, chance: random.Random) -> None:
        self._sim = sim
        self._pending = list(FAULTS)
        chance.shuffle(self._pending)
        self.done = anyio.Event()

    async def run(self, gap_s: float) -> None:
        for fault in self._pending:
            limits = {"for_ms": fault.for_ms} if fault.for_ms else {}
            await self._sim.arm(fault.on, fault.do, times=fault.times, **limits)
            await anyio.sleep(gap_s)
        with anyio.move_on_after(FIRE_WITHIN_S):
            await self.all_fired()
        self.done.set()

    async def all_fired(self) -> None:
        while not all(await self._sim.fired()):  # noqa: ASYNC110 (another process counts)
            await anyio.sleep(_LOOK_AGAIN_S)

    async def counts(self) -> dict[str, int]:
        """Fired events by name of the fault."""
        _, answer = await self._sim.control("GET", "/sim/faults")
        fired: dict[str, int] = dict.fromkeys((fault.name for fault in FAULTS), 0)
        names = {(fault.on, fault.do): fault.name for fault in FAULTS}
        for row in answer["faults"]:
            fired[names[row["on"], row["do"]]] += row["fired"]
        return fired

    async def unfired(self) -> list[str]:
        _, answer = await self._sim.control("GET", "/sim/faults")
        rows: list[dict[str, Any]] = answer["faults"]
        return [f"{row['on']} {row['do']}" for row in rows if not row["fired"]]
