"""The HTTP port of the S10 stand-in: `GET /active`, with the faults of `POST /sim/faults`."""

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.rest.request_faults import with_request_faults
from chimera_s1.adapters.simulator.s10.published_configuration import PublishedConfiguration

PATH = "/active"


def s10_application(
    published: PublishedConfiguration, faults: FaultRegistry, clock: ScaledClock
) -> web.Application:
    """Serves *published*; a fault on `GET /active` acts on the request."""

    async def serve_active(_: web.Request) -> web.Response:
        published.requests += 1
        return json_reply(published.document)

    application = web.Application(middlewares=[with_request_faults(faults, clock)])
    application.add_routes([web.get(PATH, serve_active)])
    return application
