"""The environment of a drill: a service, its Redis and the simulator it listens to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import assert_never

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.fault_injection import (
    pause_masters,
    shut_down_masters,
    wait_until_masters_up,
)
from chimera_s1.app.cli.drill.drill import PAUSE_MS, RedisFault, SimulatedFault
from chimera_s1.app.cli.drill.quote_checks import SentBook
from chimera_s1.app.cli.shared.stream_store_location import StreamStoreLocation
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1_client import HttpSession, NoReplyError

UPDATES_PER_INSTRUMENT = 5.0
"""Updates per second that give every instrument a quote in every window."""


class DrillEnvironmentError(ChimeraError):
    """The service, the simulator or Redis does not answer as a drill needs it."""

    code = "drill.ground"


class DrillTarget(Struct, frozen=True):
    """Addresses of the service, the simulator's control plane and Redis.

    Attributes:
        own_redis: Redis is the demo's own, and may be broken.
    """

    url: str
    sim_url: str
    redis: StreamStoreLocation
    own_redis: bool


class FaultState(Struct):
    """One of `GET /sim/faults`."""

    id: int
    fired: int
    first_fired_ms: int | None = None


class _FaultStates(Struct):
    faults: list[FaultState]


class _VenueState(Struct):
    subscriptions: int
    frames_skipped: int


class SimulatorState(Struct):
    """`GET /sim/status`."""

    rate: float
    updates: int
    venues: dict[str, _VenueState]


class _Books(Struct):
    books: list[tuple[float, float, float, float]]


_books = msgspec.json.Decoder(_Books, strict=False)


class DrillEnvironment:
    """Injects faults, and asks the simulator what it sent."""

    def __init__(self, target: DrillTarget, redis: ClusterClient, simulator: HttpSession) -> None:
        self.target = target
        self._redis = redis
        self._control_plane = simulator

    async def arm(self, fault: SimulatedFault) -> int:
        """Arm *fault* in the simulator; its id."""
        reply = await self._simulator("POST", "/sim/faults", msgspec.json.encode(fault))
        return msgspec.json.decode(reply, type=FaultState).id

    async def fault_states(self, ids: Sequence[int]) -> list[FaultState]:
        reply = await self._simulator("GET", "/sim/faults")
        states = msgspec.json.decode(reply, type=_FaultStates).faults
        return [state for state in states if state.id in ids]

    async def disarm(self, ids: Sequence[int]) -> None:
        for number in ids:
            await self._simulator("DELETE", f"/sim/faults/{number}")

    async def simulator_state(self) -> SimulatorState:
        return msgspec.json.decode(await self._simulator("GET", "/sim/status"), type=SimulatorState)

    @asynccontextmanager
    async def faster_market(self) -> AsyncIterator[None]:
        """Inside the block the market gives every instrument a quote in every window."""
        state = await self.simulator_state()
        subscriptions = sum(venue.subscriptions for venue in state.venues.values())
        await self._set_rate(max(state.rate, UPDATES_PER_INSTRUMENT * max(1, subscriptions)))
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self._set_rate(state.rate)

    async def books(self, instrument: InstrumentId) -> frozenset[SentBook]:
        """Every top of book that the simulator can send of *instrument*."""
        path = f"/sim/books/{instrument.venue.value}/{instrument.symbol}"
        books = _books.decode(await self._simulator("GET", path)).books
        return frozenset((bid, ask, min(bids, asks)) for bid, bids, ask, asks in books)

    async def inject_redis_fault(self, fault: RedisFault) -> None:
        """Apply *fault* to every master."""
        match fault:
            case RedisFault.SHUTDOWN:
                await shut_down_masters(self._redis)
            case RedisFault.PAUSE:
                await pause_masters(self._redis, PAUSE_MS)
            case _:
                assert_never(fault)

    async def wait_for_redis(self) -> None:
        """Return once every master answers."""
        await wait_until_masters_up(self._redis)

    async def _set_rate(self, updates_per_s: float) -> None:
        await self._simulator("POST", "/sim/rate", msgspec.json.encode({"rate": updates_per_s}))

    async def _simulator(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            reply = await self._control_plane.send(method, path, body)
        except NoReplyError as error:
            raise DrillEnvironmentError(f"the simulator does not answer: {error}") from error
        if not reply.ok:
            text = reply.body.decode(errors="replace")
            raise DrillEnvironmentError(f"the simulator refuses {method} {path}: {text}")
        return reply.body
