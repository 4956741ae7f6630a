"""The control plane's routes for the S10 stand-in."""

from typing import Annotated, Any

from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.s10.announcer import RevisionAnnouncer
from chimera_s1.adapters.simulator.s10.published_configuration import PublishedConfiguration

PUBLISH_HELP = (
    "rev: whole number from 0; instruments: list; defaults: anything; announce: true or false"
)
REDIS_HELP = "addresses: host:port,host:port of a Redis Cluster"


class PublishRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/s10`; a missing field stays as it is.

    Attributes:
        rev: The next one if missing; a lower one is an older revision.
        instruments, defaults: Served as they are, also if they are wrong.
        announce: Whether `cfg:active_rev` and `cfg:events` say so.
    """

    rev: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    instruments: list[Any] | UnsetType = UNSET
    defaults: Any = UNSET
    announce: bool = True


class RedisRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/s10/redis`."""

    addresses: str


class S10Control:
    """Publishes revisions on request."""

    def __init__(
        self, published: PublishedConfiguration, announcer: RevisionAnnouncer, clock: ScaledClock
    ) -> None:
        self._published = published
        self._announcer = announcer
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/s10", self._show),
            web.post("/sim/s10", self._publish),
            web.post("/sim/s10/redis", self._connect),
        ]

    async def _show(self, _: web.Request) -> web.Response:
        return json_reply(self._view())

    async def _publish(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), PublishRequest, PUBLISH_HELP)
        given = {"instruments": body.instruments, "defaults": body.defaults}
        changes = {name: value for name, value in given.items() if value is not UNSET}
        rev = self._published.publish(changes, body.rev)["rev"]
        if body.announce:
            await self._announcer.announce(rev, self._clock.local_ms())
        return json_reply(self._view(), 201)

    async def _connect(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), RedisRequest, REDIS_HELP)
        await self._announcer.connect(body.addresses)
        rev = self._published.document["rev"]
        await self._announcer.announce(rev, self._clock.local_ms())
        return json_reply(self._view())

    def _view(self) -> dict[str, Any]:
        announcer = self._announcer
        return {
            "active": self._published.document,
            "requests": self._published.requests,
            "redis": announcer.addresses,
            "announced": announcer.announced,
            "error": announcer.error,
        }
