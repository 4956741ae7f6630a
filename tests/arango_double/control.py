"""
What a test may ask of a double in another process and do to it; no part of ArangoDB's API.

    GET    /state                   coordinators, requests, what was answered with 501
    GET    /faults                  POST /faults {the arguments of FaultRegistry.arm}
    GET    /faults/1                POST /faults/1/release         DELETE /faults
    GET    /faults/1/fired?count=1  answers when it has fired so often
    POST   /coordinators/0/down     POST /coordinators/0/up
    GET    /documents/<database>/<collection>       POST .../swap {"key", "other"}
    GET, PUT, PATCH, DELETE         /documents/<database>/<collection>/<key>
    POST   /tokens/expire           DELETE /requests               PUT /clock {"offset_ms"}
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import orjson
from aiohttp import web

from tests.arango_double.errors import ArangoError
from tests.arango_double.faults import Fault
from tests.arango_double.tampering import StoredDocuments

if TYPE_CHECKING:
    from tests.arango_double.cluster import Cluster


def control_application(cluster: "Cluster") -> web.Application:
    """
    An application with all of it.
    """
    routes = _Routes(cluster)
    application = web.Application(middlewares=[_explain])
    document = "/documents/{database}/{collection}"
    application.add_routes(
        [
            web.get("/state", routes.state),
            web.get("/faults", routes.list_faults),
            web.post("/faults", routes.arm_fault),
            web.delete("/faults", routes.clear_faults),
            web.get("/faults/{id:[0-9]+}", routes.show_fault),
            web.post("/faults/{id:[0-9]+}/release", routes.release_fault),
            web.get("/faults/{id:[0-9]+}/fired", routes.wait_fired),
            web.post("/coordinators/{index:[0-9]+}/{way:down|up}", routes.move_coordinator),
            web.get(document, routes.list_documents),
            web.post(f"{document}/swap", routes.swap_documents),
            web.route("*", f"{document}/{{key}}", routes.touch_document),
            web.post("/tokens/expire", routes.expire_tokens),
            web.delete("/requests", routes.clear_requests),
            web.put("/clock", routes.set_clock),
        ]
    )
    return application


class _Routes:
    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster

    async def state(self, _: web.Request) -> web.Response:
        coordinators = [
            {"url": each.url, "up": each.up, "downs": each.downs}
            for each in self._cluster.coordinators
        ]
        seen = {"requests": self._cluster.journal.by_path(), "unknown": self._cluster.api.unknown}
        return _json({"coordinators": coordinators, **seen})

    async def list_faults(self, _: web.Request) -> web.Response:
        return _json([_view(each) for each in self._cluster.faults.listed()])

    async def arm_fault(self, request: web.Request) -> web.Response:
        return _json(_view(self._cluster.faults.arm(**await _body(request))), 201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._cluster.faults.clear()
        return _json({})

    async def show_fault(self, request: web.Request) -> web.Response:
        return _json(_view(self._fault(request)))

    async def release_fault(self, request: web.Request) -> web.Response:
        fault = self._fault(request)
        fault.release()
        return _json(_view(fault))

    async def wait_fired(self, request: web.Request) -> web.Response:
        fault, count = self._fault(request), int(request.query.get("count", "1"))
        await anyio.to_thread.run_sync(fault.wait_fired, count)
        return _json(_view(fault))

    async def move_coordinator(self, request: web.Request) -> web.Response:
        index = int(request.match_info["index"])
        if request.match_info["way"] == "down":
            await self._cluster.take_down(index)
        else:
            await self._cluster.bring_up(index)
        return await self.state(request)

    async def list_documents(self, request: web.Request) -> web.Response:
        return _json(self._documents(request).all())

    async def swap_documents(self, request: web.Request) -> web.Response:
        wanted = await _body(request)
        self._documents(request).swap(wanted["key"], wanted["other"])
        return _json({})

    async def touch_document(self, request: web.Request) -> web.Response:
        documents, key = self._documents(request), request.match_info["key"]
        match request.method:
            case "GET":
                return _json(documents.get(key))
            case "PUT":
                documents.put(key, await _body(request))
            case "PATCH":
                documents.edit(key, **await _body(request))
            case "DELETE":
                documents.delete(key)
            case _:
                raise web.HTTPMethodNotAllowed(request.method, ["GET", "PUT", "PATCH", "DELETE"])
        return _json({})

    async def expire_tokens(self, _: web.Request) -> web.Response:
        self._cluster.access.expire_tokens()
        return _json({})

    async def clear_requests(self, _: web.Request) -> web.Response:
        self._cluster.journal.clear()
        return _json({})

    async def set_clock(self, request: web.Request) -> web.Response:
        self._cluster.store.clock_offset_ms = int((await _body(request))["offset_ms"])
        return _json({})

    def _fault(self, request: web.Request) -> Fault:
        return self._cluster.faults.find(int(request.match_info["id"]))

    def _documents(self, request: web.Request) -> StoredDocuments:
        place = request.match_info
        return StoredDocuments(self._cluster.store, place["database"], place["collection"])


@web.middleware
async def _explain(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ValueError, TypeError) as error:
        return _json({"error": str(error)}, 400)
    except LookupError as error:
        return _json({"error": str(error)}, 404)
    except ArangoError as error:
        return _json({"error": error.message}, error.status)
    except TimeoutError as error:
        return _json({"error": str(error)}, 504)


def _view(fault: Fault) -> dict[str, Any]:
    target = fault.target
    return {
        "id": fault.id,
        "do": fault.do,
        "method": target.method,
        "path": target.path,
        "coordinator": target.coordinator,
        "times": fault.times,
        "delay_ms": fault.delay_ms,
        "fired": fault.fired,
        "done": fault.done,
    }


async def _body(request: web.Request) -> dict[str, Any]:
    body = orjson.loads(await request.read())
    if not isinstance(body, dict):
        raise TypeError("write a JSON object")
    return body


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
