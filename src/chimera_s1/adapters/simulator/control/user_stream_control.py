"""The control plane's routes for the futures user stream."""

from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.streams.perp_user_streams import Delivery, PerpUserStreams

_VALIDITY_MAX_MS = 24 * 3_600_000
_HELP = (
    "without_events, path_form: all or nothing; "
    f"validity_ms: whole number from 1 to {_VALIDITY_MAX_MS}"
)


class UserStreamRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/user-streams`; a missing field changes nothing."""

    without_events: Delivery | None = None
    path_form: Delivery | None = None
    validity_ms: Annotated[int, Meta(ge=1, le=_VALIDITY_MAX_MS)] | None = None


class UserStreamControl:
    def __init__(self, streams: PerpUserStreams) -> None:
        self._streams = streams

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/user-streams", self._show),
            web.post("/sim/user-streams", self._change),
        ]

    def _view(self) -> dict[str, Any]:
        streams = self._streams
        return {
            "without_events": streams.without_events.value,
            "path_form": streams.path_form.value,
            "validity_ms": streams.keys.validity_ms,
            "sent": streams.sent,
        }

    async def _show(self, _: web.Request) -> web.Response:
        return json_reply(self._view())

    async def _change(self, request: web.Request) -> web.Response:
        body, streams = decode(await request.read(), UserStreamRequest, _HELP), self._streams
        streams.without_events = body.without_events or streams.without_events
        streams.path_form = body.path_form or streams.path_form
        streams.keys.validity_ms = body.validity_ms or streams.keys.validity_ms
        return json_reply(self._view())
