"""
Where a drill takes place: a service, the Redis it writes to, and the simulator it listens to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx
import msgspec
from msgspec import Struct
from redis.asyncio.cluster import ClusterNode

from chimera_s1.adapters.redis.cluster import ClusterClient
from chimera_s1.adapters.redis.errors import REDIS_FAILURES, redis_errors
from chimera_s1.app.commands.drills.drill import RedisFault, SimulatedFault
from chimera_s1.app.commands.drills.evidence import Book
from chimera_s1.app.commands.stream_location import StreamLocation, connected
from chimera_s1.app.settings import Settings
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId

PATIENCE_S = 5.0
_ASK_AGAIN_S = 0.02


class DrillGroundError(ChimeraError):
    """
    Service, simulator or Redis do not answer as a drill needs it; the text says which and what.
    """

    code = "drill.ground"


class Place(Struct, frozen=True):
    """
    Addresses.

    Attributes:
        url: Of the service.

        sim_url: Of the simulator's control plane.

        redis: Of the cluster.

        own_redis: It is the demo's own, and may be broken.
    """

    url: str
    sim_url: str
    redis: StreamLocation
    own_redis: bool


class FaultState(Struct):
    """
    One of `GET /sim/faults`.
    """

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
    """
    Of `GET /sim/status`.
    """

    rate: float
    updates: int
    venues: dict[str, _VenueState]


class _Books(Struct):
    books: list[tuple[float, float, float, float]]


_books = msgspec.json.Decoder(_Books, strict=False)


class Ground:
    """
    Everything a drill does to the world outside.
    """

    def __init__(self, place: Place, http: httpx.AsyncClient, redis: ClusterClient) -> None:
        self.place = place
        self.http = http
        self._redis = redis

    async def arm(self, fault: SimulatedFault) -> int:
        """
        Arm it in the simulator; its id.
        """
        body = msgspec.json.encode(fault)
        reply = await self._simulator("POST", "/sim/faults", body)
        return msgspec.json.decode(reply, type=FaultState).id

    async def fault_states(self, ids: list[int]) -> list[FaultState]:
        """
        What became of the faults *ids*.
        """
        reply = await self._simulator("GET", "/sim/faults")
        states = msgspec.json.decode(reply, type=_FaultStates).faults
        return [state for state in states if state.id in ids]

    async def disarm(self, ids: list[int]) -> None:
        """
        End the faults *ids*.
        """
        for number in ids:
            await self._simulator("DELETE", f"/sim/faults/{number}")

    async def simulator_state(self) -> SimulatorState:
        """
        Pace, and what was sent.
        """
        return msgspec.json.decode(await self._simulator("GET", "/sim/status"), type=SimulatorState)

    async def set_rate(self, rate: float) -> None:
        """
        Set the pace of the market, updates per second.
        """
        await self._simulator("POST", "/sim/rate", msgspec.json.encode({"rate": rate}))

    async def books(self, instrument: InstrumentId) -> frozenset[Book]:
        """
        Every top of book that the simulator can send of *instrument*.
        """
        path = f"/sim/books/{instrument.venue.value}/{instrument.symbol}"
        books = _books.decode(await self._simulator("GET", path)).books
        return frozenset((bid, ask, min(bids, asks)) for bid, bids, ask, asks in books)

    async def strike_redis(self, fault: RedisFault) -> None:
        """
        Do *fault* to every master.
        """
        with redis_errors():
            await self._redis.refresh()
        for node in self._redis.get_primaries():
            with suppress(*REDIS_FAILURES):
                # A server that was shut down does not say so.
                with anyio.move_on_after(PATIENCE_S):
                    await _said(node, fault.value)

    async def redis_back(self) -> None:
        """
        Return once every master answers.
        """
        for node in self._redis.get_primaries():
            while not await self._answers(node):  # noqa: ASYNC110 (a server does not call back)
                await anyio.sleep(_ASK_AGAIN_S)

    async def _answers(self, node: ClusterNode) -> bool:
        with suppress(*REDIS_FAILURES), anyio.move_on_after(PATIENCE_S):
            return "cluster_state:ok" in str(await _said(node, "CLUSTER INFO"))
        return False

    async def _simulator(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            reply = await self.http.request(method, self.place.sim_url + path, content=body)
        except httpx.HTTPError as error:
            raise DrillGroundError(
                f"the simulator at {self.place.sim_url} does not answer: {_text(error)}"
            ) from error
        if reply.is_error:
            raise DrillGroundError(f"the simulator refuses {method} {path}: {reply.text}")
        return reply.content


@asynccontextmanager
async def drill_ground(place: Place, settings: Settings) -> AsyncIterator[Ground]:
    """
    Connections to everything at *place*.

    Raises:
        PublisherUnavailableError: Redis does not answer.
    """
    async with (
        connected(place.redis, settings) as client,
        httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as http,
    ):
        yield Ground(place, http, client)


async def _said(node: ClusterNode, command: str) -> Any:  # noqa: ANN401 (a reply is of any type)
    return await node.execute_command(*command.split())


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
