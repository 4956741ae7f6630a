"""
What a test or an operator may ask of the simulator and do to it; no part of Binance's API.
"""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import orjson
from aiohttp import web
from msgspec import Meta, Struct

from chimera_s1.adapters.simulator.book_pump import BookPump
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults import Fault, FaultRegistry
from chimera_s1.adapters.simulator.hub import StreamHub
from chimera_s1.adapters.simulator.topics import FRAMES_KEPT, SentFrame
from chimera_s1.domain.errors import InvalidValueError

RATE_MAX = 100_000.0
T = TypeVar("T")


class ClockRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """
    Body of `POST /sim/clock`; what is left out stays as it is.

    Attributes:
        rate: Exchange milliseconds per local millisecond.

        offset_ms: Exchange time minus local time, from now.
    """

    rate: Annotated[float, Meta(gt=0, le=RATE_MAX)] | None = None
    offset_ms: Annotated[int, Meta(ge=-(10**12), le=10**12)] | None = None


class FaultRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """
    Body of `POST /sim/faults`.
    """

    on: str
    do: str
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    for_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 0


_CLOCK_HELP = f"rate: number above 0, up to {RATE_MAX:g}; offset_ms: whole number"
_FAULT_HELP = (
    "on: request or stream; do: what happens; times: whole number from 1; "
    "for_ms: whole number from 0"
)


class ControlPlane:
    """
    The routes under `/sim`.
    """

    def __init__(
        self,
        hubs: Sequence[StreamHub],
        pump: BookPump,
        clock: ScaledClock,
        faults: FaultRegistry,
    ) -> None:
        self._hubs = {hub.venue.value: hub for hub in hubs}
        self._pump = pump
        self._clock = clock
        self._faults = faults

    def application(self) -> web.Application:
        """
        An application with all of them.
        """
        application = web.Application(middlewares=[_explain])
        application.add_routes(
            [
                web.get("/sim/status", self._status),
                web.get("/sim/quotes/{venue}/{symbol}", self._quotes),
                web.post("/sim/clock", self._set_clock),
                web.get("/sim/faults", self._list_faults),
                web.post("/sim/faults", self._arm_fault),
                web.delete("/sim/faults", self._clear_faults),
            ]
        )
        return application

    async def _status(self, _: web.Request) -> web.Response:
        return _json(
            {
                "clock": self._clock_state(),
                "rate": self._pump.rate,
                "updates": self._pump.updates,
                "venues": {name: _hub_state(hub) for name, hub in self._hubs.items()},
                "faults": sum(live for _, live in self._faults.listed()),
            }
        )

    async def _quotes(self, request: web.Request) -> web.Response:
        venue, symbol = request.match_info["venue"], request.match_info["symbol"].upper()
        hub = self._hubs.get(venue)
        if hub is None or hub.market.find(hub.venue, symbol) is None:
            known = "spot or perp" if hub is None else "a symbol of GET .../exchangeInfo"
            wrong = venue if hub is None else symbol
            return _json({"error": f"{wrong!r} is not listed here; write {known}"}, 404)
        frames = [_frame(sent) for sent in hub.recent(symbol)]
        return _json({"venue": venue, "symbol": symbol, "kept": FRAMES_KEPT, "frames": frames})

    async def _set_clock(self, request: web.Request) -> web.Response:
        wanted = _decode(await request.read(), ClockRequest, _CLOCK_HELP)
        self._clock.set(rate=wanted.rate, offset_ms=wanted.offset_ms)
        return _json(self._clock_state())

    async def _list_faults(self, _: web.Request) -> web.Response:
        return _json({"faults": [_fault(each, live=live) for each, live in self._faults.listed()]})

    async def _arm_fault(self, request: web.Request) -> web.Response:
        wanted = _decode(await request.read(), FaultRequest, _FAULT_HELP)
        fault = self._faults.arm(wanted.on, wanted.do, wanted.times, wanted.for_ms)
        return _json(_fault(fault, live=True), 201)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        return _json({"cleared": self._faults.clear()})

    def _clock_state(self) -> dict[str, Any]:
        now = self._clock.now_ms()
        return {
            "now_ms": now,
            "rate": self._clock.rate,
            "offset_ms": now - self._clock.local_ms(),
        }


@web.middleware
async def _explain(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401  # aiohttp's own type is not public
    try:
        response: web.StreamResponse = await handler(request)
    except InvalidValueError as error:
        return _json({"error": str(error)}, 400)
    except web.HTTPException as error:
        return _json({"error": f"{request.method} {request.path}: {error.reason}"}, error.status)
    return response


def _decode(body: bytes, kind: type[T], allowed: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidValueError(f"{error} ({allowed})") from error


def _hub_state(hub: StreamHub) -> dict[str, Any]:
    return {
        "connections": len(hub.sessions),
        "connections_opened": hub.connections,
        "subscriptions": sum(len(session.subscriptions) for session in hub.sessions),
        "streams_delivering": len(hub.topics),
        "frames_sent": hub.frames,
        "frames_skipped": hub.skipped,
        "bytes_unread": hub.bytes_unread,
    }


def _frame(sent: SentFrame) -> dict[str, Any]:
    return {"sent_ms": sent.sent_ms, "stream": sent.stream, "data": _shown(sent.payload)}


def _shown(payload: bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload.decode("utf-8", "replace")


def _fault(fault: Fault, *, live: bool) -> dict[str, Any]:
    return {
        "id": fault.id,
        "on": fault.on,
        "do": fault.do,
        "times": fault.times,
        "fired": fault.fired,
        "live": live,
    }


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
