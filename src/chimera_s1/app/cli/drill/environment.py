"""Where a drill takes place: a service, the Redis it writes to, and the simulator it listens to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.fault_injection import (
    pause_masters,
    shut_down_masters,
    wait_until_masters_up,
)
from chimera_s1.app.cli.drill.drill import PAUSE_MS, RedisFault, SimulatedFault
from chimera_s1.app.cli.drill.http import HttpRequestError, request
from chimera_s1.app.cli.drill.quote_checks import SentBook
from chimera_s1.app.cli.shared.stream_store_location import StreamStoreLocation, connected
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId


class DrillEnvironmentError(ChimeraError):
    """Service, simulator or Redis do not answer as a drill needs it; the text says
    which and what.
    """

    code = "drill.ground"


class DrillTarget(Struct, frozen=True):
    """Addresses.

    Attributes:
        url: Of the service.

        sim_url: Of the simulator's control plane.

        redis: Of the cluster.

        own_redis: It is the demo's own, and may be broken.
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
    last_fired_ms: int | None = None


class _FaultStates(Struct):
    faults: list[FaultState]


class _VenueState(Struct):
    subscriptions: int
    frames_skipped: int


class SimulatorState(Struct):
    """Of `GET /sim/status`."""

    rate: float
    updates: int
    venues: dict[str, _VenueState]


class _Books(Struct):
    books: list[tuple[float, float, float, float]]


_books = msgspec.json.Decoder(_Books, strict=False)


class DrillEnvironment:
    """Everything a drill does to the world outside."""

    def __init__(self, place: DrillTarget, redis: ClusterClient) -> None:
        self.target = place
        self._redis = redis

    async def arm(self, fault: SimulatedFault) -> int:
        """Arm it in the simulator; its id."""
        body = msgspec.json.encode(fault)
        reply = await self._simulator("POST", "/sim/faults", body)
        return msgspec.json.decode(reply, type=FaultState).id

    async def fault_states(self, ids: list[int]) -> list[FaultState]:
        """What became of the faults *ids*."""
        reply = await self._simulator("GET", "/sim/faults")
        states = msgspec.json.decode(reply, type=_FaultStates).faults
        return [state for state in states if state.id in ids]

    async def disarm(self, ids: list[int]) -> None:
        """End the faults *ids*."""
        for number in ids:
            await self._simulator("DELETE", f"/sim/faults/{number}")

    async def simulator_state(self) -> SimulatorState:
        """Pace, and what was sent."""
        return msgspec.json.decode(await self._simulator("GET", "/sim/status"), type=SimulatorState)

    async def set_rate(self, rate: float) -> None:
        """Set the pace of the market, updates per second."""
        await self._simulator("POST", "/sim/rate", msgspec.json.encode({"rate": rate}))

    async def books(self, instrument: InstrumentId) -> frozenset[SentBook]:
        """Every top of book that the simulator can send of *instrument*."""
        path = f"/sim/books/{instrument.venue.value}/{instrument.symbol}"
        books = _books.decode(await self._simulator("GET", path)).books
        return frozenset((bid, ask, min(bids, asks)) for bid, bids, ask, asks in books)

    async def inject_redis_fault(self, fault: RedisFault) -> None:
        """Do *fault* to every master."""
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

    async def _simulator(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            reply = await request(method, self.target.sim_url + path, body)
        except HttpRequestError as error:
            raise DrillEnvironmentError(
                f"the simulator at {self.target.sim_url} does not answer: {error}"
            ) from error
        if not reply.ok:
            said = reply.body.decode(errors="replace")
            raise DrillEnvironmentError(f"the simulator refuses {method} {path}: {said}")
        return reply.body


@asynccontextmanager
async def drill_environment(
    place: DrillTarget, settings: Settings
) -> AsyncIterator[DrillEnvironment]:
    """Connections to everything at *place*.

    Raises:
        PublisherUnavailableError: Redis does not answer.
    """
    async with connected(place.redis, settings) as client:
        yield DrillEnvironment(place, client)
