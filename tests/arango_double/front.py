"""
What stands between a coordinator's socket and the API: counting, and faults.
"""

import asyncio

import anyio
import msgspec

from tests.arango_double.api import Api
from tests.arango_double.faults import Deed, Fault, FaultRegistry
from tests.arango_double.journal import Journal
from tests.arango_double.requests_in import Answer, Request, failure


class Dropped(Exception):  # noqa: N818  # nothing went wrong
    """
    The connection breaks without an answer.
    """


class WentDown(Dropped):
    """
    And so does the coordinator.
    """


class Front:
    """
    One for all coordinators.
    """

    def __init__(self, api: Api, faults: FaultRegistry, journal: Journal) -> None:
        self._api = api
        self._faults = faults
        self._journal = journal

    async def answer(self, request: Request) -> Answer:
        """
        The answer to *request*, or what a fault makes of it.

        Raises:
            Dropped, WentDown: There is none.
        """
        self._journal.note(request)
        fault = self._faults.take(request)
        if fault is None:
            return self._api.answer(request)
        try:
            return await self._under(fault, request)
        finally:
            fault.finish()

    async def _under(self, fault: Fault, request: Request) -> Answer:
        answer = self._api.answer(request) if fault.applied else None
        match fault.deed:
            case Deed.DROP:
                raise Dropped
            case Deed.DOWN:
                self._api.cursors.forget(request.coordinator)
                raise WentDown
            case Deed.STALE:
                return self._api.answer(request, fault.past)
            case Deed.UNSYNCED:
                return msgspec.structs.replace(answer or self._api.answer(request), status=202)
            case Deed.DELAY:
                await anyio.sleep(fault.delay_ms / 1000)
            case Deed.HOLD:
                await asyncio.shield(asyncio.wrap_future(fault.released))
            case Deed.REFUSE | Deed.READ_ONLY:
                assert fault.error is not None
                return failure(fault.error)
        # A server does not notice that a client has gone: what waited here takes effect now.
        return answer or self._api.answer(request)
