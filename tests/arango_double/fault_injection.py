"""Between a coordinator's socket and the API: counts each request and applies faults to it."""

import asyncio

import msgspec

from tests.arango_double.api import Api
from tests.arango_double.faults import Fault, FaultKind, FaultRegistry
from tests.arango_double.http_messages import Request, Response, error_response
from tests.arango_double.request_counter import RequestCounter


class ConnectionDropped(Exception):  # noqa: N818  # an armed fault, not an error
    """The connection breaks without a response."""


class CoordinatorDown(ConnectionDropped):
    """The coordinator goes down, and all its connections with it."""


class FaultInjector:
    """One for all coordinators."""

    def __init__(self, api: Api, faults: FaultRegistry, requests: RequestCounter) -> None:
        self._api = api
        self._faults = faults
        self._requests = requests

    async def respond(self, request: Request) -> Response:
        """Raises: ConnectionDropped, CoordinatorDown: There is no response."""
        self._requests.record(request)
        fault = self._faults.fire(request)
        if fault is None:
            return self._api.respond(request)
        try:
            return await self._respond_with(fault, request)
        finally:
            fault.finish()

    async def _respond_with(self, fault: Fault, request: Request) -> Response:
        response = self._api.respond(request) if fault.applied else None
        match fault.kind:
            case FaultKind.DROP:
                raise ConnectionDropped
            case FaultKind.DOWN:
                self._api.cursors.expire(request.coordinator)
                raise CoordinatorDown
            case FaultKind.STALE:
                return self._api.respond(request, fault.past)
            case FaultKind.UNSYNCED:
                return msgspec.structs.replace(response or self._api.respond(request), status=202)
            case FaultKind.HOLD:
                await asyncio.shield(asyncio.wrap_future(fault.released))
                if fault.error is not None:
                    return error_response(fault.error)
                # A server does not notice that the client has gone: the request takes effect now.
                return response or self._api.respond(request)
            case FaultKind.REFUSE | FaultKind.READ_ONLY:
                assert fault.error is not None
                return error_response(fault.error)
