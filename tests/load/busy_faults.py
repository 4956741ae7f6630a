"""The faults of the busy hour: what is armed at the simulator, and how often it fired."""

import random
from collections.abc import Iterable
from typing import Any

import anyio
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.ports.clock import Clock
from tests.simulator_client import SimulatorClient

EACH_TIMES = 3
_LOOK_AGAIN_MS = 1_000

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
KEEP_ALIVE = ("PUT /fapi/v1/listenKey",)


class Fault(Struct, frozen=True):
    """One row of the report is a *name*; *times* is how often it is armed to fire."""

    name: str
    on: str
    do: str
    times: int = EACH_TIMES


def _of(name: str, targets: tuple[str, ...], *actions: str, times: int = EACH_TIMES) -> list[Fault]:
    return [Fault(name, on, do, times) for do in actions for on in targets]


FAULTS: tuple[Fault, ...] = (
    *_of("reply lost, executed", ORDERS, "execute-then-drop"),
    *_of("reply lost, not executed", ORDERS, "drop-before"),
    *_of("reply lost, executed a second later", ORDERS, "drop-then-execute:1200", times=1),
    *_of("reply lost, executed a minute later", ORDERS, "drop-then-execute:60000", times=2),
    *_of("503, executed a second later", ORDERS, "unavailable-then-execute:1500", times=1),
    *_of("503, executed a minute later", ORDERS, "unavailable-then-execute:60000", times=2),
    *_of("503, executed", ORDERS, "execute-then-unavailable"),
    *_of("503, not executed", ORDERS, "unavailable", "unavailable:internal", times=2),
    *_of("503, throttled", ORDERS, "unavailable:throttled", times=2),
    *_of("broken reply, executed", ORDERS, "body:html", "body:truncated", times=2),
    *_of("-1006 or -1007, executed", ORDERS, "execute-then-code:-1006", "execute-then-code:-1007"),
    *_of("-1006 or -1007, not executed", ORDERS, "code:-1006", "code:-1007", times=2),
    *_of("429, with a hold of 5 s", ORDERS, "rate-limit:5", times=1),
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
    *_of("keep-alive failed", KEEP_ALIVE, "status:500", times=2),
    *_of("keep-alive answered -1125", KEEP_ALIVE, "code:-1125", times=1),
)


class FaultRunner:
    """Arms one fault after the other in a random order, until all have fired."""

    def __init__(
        self, sim: SimulatorClient, clock: Clock, chance: random.Random, faults: Iterable[Fault]
    ) -> None:
        self._sim = sim
        self._clock = clock
        self._pending = list(faults)
        chance.shuffle(self._pending)
        self.done = anyio.Event()

    async def run(self, duration_ms: float, patience_ms: float) -> None:
        """Arm them over *duration_ms*, and then wait for *patience_ms* at most."""
        gap_ms = duration_ms / len(self._pending)
        for fault in self._pending:
            await self._sim.arm(fault.on, fault.do, times=fault.times)
            await self._clock.sleep_ms(gap_ms)
        give_up_ms = self._clock.monotonic_ms() + patience_ms
        while await self.unfired() and self._clock.monotonic_ms() < give_up_ms:
            await self._clock.sleep_ms(_LOOK_AGAIN_MS)
        self.done.set()

    async def counts(self) -> dict[str, int]:
        """Fired events by name of the fault."""
        fired: dict[str, int] = dict.fromkeys((fault.name for fault in self._pending), 0)
        names = {(fault.on, fault.do): fault.name for fault in self._pending}
        for row in await self._rows():
            fired[names[row["on"], row["do"]]] += row["fired"]
        return dict(sorted(fired.items()))

    async def unfired(self) -> list[str]:
        return [f"{row['on']} {row['do']}" for row in await self._rows() if not row["fired"]]

    async def _rows(self) -> list[dict[str, Any]]:
        """Without those of the clock."""
        _, answer = await self._sim.control("GET", "/sim/faults")
        return [row for row in answer["faults"] if row["on"] != "clock"]


def once_each(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(replace(fault, times=1) for fault in faults)
