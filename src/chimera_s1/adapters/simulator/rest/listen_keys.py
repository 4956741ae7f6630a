"""`/fapi/v1/listenKey`: opens, extends and closes the user stream; a key, but no signature."""

from aiohttp import web

from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.adapters.simulator.streams.listen_keys import ListenKeys

_PATH = "/fapi/v1/listenKey"


class ListenKeyRoutes:
    def __init__(self, keys: ListenKeys, authenticator: Authenticator) -> None:
        self._keys = keys
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        return [
            Route("POST", _PATH, self._open, fixed_weight(1)),
            Route("PUT", _PATH, self._extend, fixed_weight(1)),
            Route("DELETE", _PATH, self._close, fixed_weight(1)),
        ]

    async def _open(self, request: web.Request) -> object:
        self._authenticator.check_futures_key(request)
        return {"listenKey": self._keys.open()}

    async def _extend(self, request: web.Request) -> object:
        self._authenticator.check_futures_key(request)
        key = self._keys.extend()
        if not key:
            raise _unknown_key()
        return {"listenKey": key}

    async def _close(self, request: web.Request) -> object:
        self._authenticator.check_futures_key(request)
        if not self._keys.close():
            raise _unknown_key()
        return {}


def _unknown_key() -> BinanceError:
    return BinanceError(-1125, "This listenKey does not exist.")
