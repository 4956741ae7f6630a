"""The HTTP port of the public archive, with the faults of `POST /sim/faults`."""

from aiohttp import web

from chimera_s1.adapters.simulator.archive.funding_files import FundingFiles
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.rest.request_faults import with_request_faults

PATH = "/data/futures/um/monthly/fundingRate/{symbol}/{name}"


def archive_application(
    files: FundingFiles, faults: FaultRegistry, clock: ScaledClock
) -> web.Application:
    """Serves *files*; without a key, a weight or a limit."""

    async def serve_file(request: web.Request) -> web.Response:
        content = files.find(request.match_info["symbol"], request.match_info["name"])
        if content is None:
            text = "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"
            return web.Response(status=404, text=text, content_type="application/xml")
        return web.Response(body=content, content_type="binary/octet-stream")

    application = web.Application(middlewares=[with_request_faults(faults, clock)])
    application.add_routes([web.get(PATH, serve_file)])
    return application
