"""
The whole far side of Binance in one process: two stream ports, two REST ports, one control plane.
"""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial

import anyio
from aiohttp import web
from anyio.abc import TaskGroup, TaskStatus

from chimera_s1.adapters.market_file import read_records
from chimera_s1.adapters.simulator.account.account import Wallet
from chimera_s1.adapters.simulator.account.movement_journal import Books
from chimera_s1.adapters.simulator.account.movements import Account, Movement
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.config import LOOPBACK, SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.control.account_control import WalletControl
from chimera_s1.adapters.simulator.control.control_plane import ControlPlane
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario_player import ScenarioPlayer
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec, listed_symbols
from chimera_s1.adapters.simulator.rest.authenticator import Admission
from chimera_s1.adapters.simulator.rest.exchange_info import SPOT_WEIGHT_LIMIT
from chimera_s1.adapters.simulator.rest.perp_account import PerpAccountRoutes
from chimera_s1.adapters.simulator.rest.perp_market import PerpMarketRoutes
from chimera_s1.adapters.simulator.rest.rest_server import Meter, Route, listening, rest_application
from chimera_s1.adapters.simulator.rest.spot_market import SpotMarketRoutes
from chimera_s1.adapters.simulator.rest.subaccount import SubaccountRoutes
from chimera_s1.adapters.simulator.rest.wallet import SapiMeters, WalletRoutes
from chimera_s1.adapters.simulator.rest.weight_budget import WeightBudget
from chimera_s1.adapters.simulator.streams.book_updater import BookPump
from chimera_s1.adapters.simulator.streams.connection_faults import Strikes
from chimera_s1.adapters.simulator.streams.playback import Playback, symbols_in
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_server import stream_server, tend_connections
from chimera_s1.adapters.simulator.streams.throttled_streams import Cadence
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock

_log = logging.getLogger(__name__)


class Simulator:
    """
    Runs inside a task group: `addresses = await tasks.start(Simulator(config, clock).run)`.
    """

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        """
        Raises:
            RecordingDamagedError: The file to play is not a market data file.
        """
        self._config = config
        self._local = clock
        self._clock = ScaledClock(clock.now_ms)
        self._faults = FaultRegistry(clock.monotonic_ms, clock.now_ms)
        self._market = Market(_specs(config), config.seed, self._clock.now_ms())
        self._subscribed = anyio.Event()
        self._hubs = {
            venue: StreamHub(venue, self._market, self._clock, self._faults, self._subscribed)
            for venue in Venue
        }
        self._pump = BookPump(tuple(self._hubs.values()), config.rate, clock)
        self._player = ScenarioPlayer(self._faults, clock)

    async def run(
        self, *, task_status: TaskStatus[SimulatorAddresses] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """
        Listen until cancelled; *task_status* gets the addresses when all ports are open.

        Raises:
            ConfigurationError: A port is taken, or the books cannot be written.
        """
        async with AsyncExitStack() as stack:
            addresses = await self._listen(stack)
            async with anyio.create_task_group() as tasks:
                self._start_market(tasks)
                self._start_faults(tasks)
                for hub in self._hubs.values():
                    tasks.start_soon(tend_connections, hub)
                task_status.started(addresses)
                await anyio.sleep_forever()

    def _start_faults(self, tasks: TaskGroup) -> None:
        hubs = tuple(self._hubs.values())
        tasks.start_soon(Strikes(hubs, self._clock, self._pump, self._faults).run)
        tasks.start_soon(self._player.run)
        if self._config.scenario is not None:
            start = self._player.start_with_the_first_listener
            tasks.start_soon(start, self._config.scenario, self._subscribed)

    def _start_market(self, tasks: TaskGroup) -> None:
        config, hubs = self._config, tuple(self._hubs.values())
        if config.play is None:
            tasks.start_soon(self._pump.run)
            tasks.start_soon(Cadence(hubs, self._local).run)
            return
        rate = config.rate if config.play_at_rate else None
        records = partial(read_records, config.play, on_bad=_passed_over)
        playback = Playback(
            records, hubs, self._local, self._subscribed, rate=rate, loop=config.loop
        )
        tasks.start_soon(playback.run)

    async def _listen(self, stack: AsyncExitStack) -> SimulatorAddresses:
        config = self._config
        host = config.host
        wallet = Wallet(_balances(config), self._clock, self._keeper(stack))
        spot_rest = self._rest(Venue.SPOT, self._spot_routes(wallet), SPOT_WEIGHT_LIMIT)
        perp_rest = self._rest(Venue.PERP, self._perp_routes(wallet), self._config.perp_ip_weight)
        hubs = tuple(self._hubs.values())
        control = ControlPlane(
            hubs, self._pump, self._clock, self._faults, self._player, wallet=WalletControl(wallet)
        ).application()
        return SimulatorAddresses(
            spot_rest_url=await _open_http(stack, spot_rest, host, config.spot_rest_port),
            spot_ws_url=await self._open_ws(stack, Venue.SPOT, config.spot_ws_port),
            perp_rest_url=await _open_http(stack, perp_rest, host, config.perp_rest_port),
            perp_ws_url=await self._open_ws(stack, Venue.PERP, config.perp_ws_port),
            control_url=await _open_http(stack, control, LOOPBACK, config.control_port),
        )

    def _spot_routes(self, wallet: Wallet) -> list[Route]:
        admission = Admission(self._config.account.api_key, wallet, self._clock)
        meters = SapiMeters(
            ip=Meter(self._budget(self._config.sapi_ip_weight), ("X-SAPI-USED-IP-WEIGHT-1M",)),
            uid=Meter(self._budget(self._config.sapi_uid_weight), ("X-SAPI-USED-UID-WEIGHT-1M",)),
        )
        return [
            *SpotMarketRoutes(self._market, self._clock).routes(),
            *WalletRoutes(wallet, admission, self._clock, meters).routes(),
            *SubaccountRoutes(wallet, admission, self._clock, meters).routes(),
        ]

    def _perp_routes(self, wallet: Wallet) -> list[Route]:
        admission = Admission(self._config.account.api_key, wallet, self._clock)
        return [
            *PerpMarketRoutes(self._market, self._clock).routes(),
            *PerpAccountRoutes(wallet, admission, self._clock).routes(),
        ]

    def _rest(self, venue: Venue, routes: list[Route], limit: int) -> web.Application:
        return rest_application(venue, routes, self._budget(limit), self._faults, self._clock)

    def _budget(self, limit: int) -> WeightBudget:
        return WeightBudget(limit, self._clock)

    def _keeper(self, stack: AsyncExitStack) -> Callable[[Movement], None]:
        path = self._config.account.books
        if path is None:
            return _keep_none
        books = Books(path)
        stack.callback(books.close)
        return books.write

    async def _open_ws(self, stack: AsyncExitStack, venue: Venue, port: int) -> str:
        host = self._config.host
        try:
            bound = await stack.enter_async_context(stream_server(self._hubs[venue], host, port))
        except OSError as error:
            raise _taken(host, port) from error
        return f"ws://{_url_host(host)}:{bound}"


async def _open_http(
    stack: AsyncExitStack, application: web.Application, host: str, port: int
) -> str:
    try:
        bound = await stack.enter_async_context(listening(application, host, port))
    except OSError as error:
        raise _taken(host, port) from error
    return f"http://{_url_host(host)}:{bound}"


def _balances(config: SimulatorConfig) -> dict[Account, Decimal]:
    account = config.account
    return {Account.SPOT: account.spot_usdt, Account.FUTURES: account.futures_usdt}


def _keep_none(_: Movement) -> None:
    """
    The wallet remembers its movements itself.
    """


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _passed_over(line: int, reason: str) -> None:
    _log.warning("line %d of the file that is played was passed over: %s", line, reason)


def _taken(host: str, port: int) -> ConfigurationError:
    return ConfigurationError(
        f"{host}:{port} cannot be listened on (is another program there?); "
        "stop that program, or choose another port, or 0 for any free one"
    )


def _specs(config: SimulatorConfig) -> tuple[SymbolSpec, ...]:
    if config.play is None:
        return listed_symbols(config.symbols)
    named = config.symbols if isinstance(config.symbols, tuple) else ()
    return listed_symbols(tuple(dict.fromkeys((*named, *symbols_in(config.play)))))
