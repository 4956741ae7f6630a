"""The Binance simulator in one process: two stream ports, two REST ports, the public archive and a
control plane.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from decimal import Decimal
from typing import Any

import anyio
from aiohttp import web
from anyio.abc import TaskGroup, TaskStatus

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movement_journal import MovementJournal
from chimera_s1.adapters.simulator.account.movements import Movement, WalletName
from chimera_s1.adapters.simulator.archive.archive_server import archive_application
from chimera_s1.adapters.simulator.archive.funding_files import FundingFiles
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.config import (
    LOOPBACK,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.control.account_control import AccountControl
from chimera_s1.adapters.simulator.control.control_plane import ControlPlane
from chimera_s1.adapters.simulator.control.funding_control import FundingControl
from chimera_s1.adapters.simulator.control.order_control import OrderControl
from chimera_s1.adapters.simulator.control.price_control import PriceControl
from chimera_s1.adapters.simulator.control.s10_control import S10Control
from chimera_s1.adapters.simulator.control.user_stream_control import UserStreamControl
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario_player import ScenarioPlayer
from chimera_s1.adapters.simulator.funding.income import FundingIncome
from chimera_s1.adapters.simulator.funding.positions import Positions, Side
from chimera_s1.adapters.simulator.funding.rate_history import RateHistory
from chimera_s1.adapters.simulator.global_faults import GlobalFaults
from chimera_s1.adapters.simulator.limits.limit_reply import LimitReply
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import Bucket, charges
from chimera_s1.adapters.simulator.limits.unfilled_orders import UnfilledOrders
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec, build_symbols
from chimera_s1.adapters.simulator.market.whole_market import build_whole_market
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.desk import Desk
from chimera_s1.adapters.simulator.matching.events import PerpEvent
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.adapters.simulator.not_simulated import Feature, NotSimulated
from chimera_s1.adapters.simulator.rest.asset_catalogue import AssetCatalogueRoutes
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.coin_market import CoinMarketRoutes
from chimera_s1.adapters.simulator.rest.funding import FundingRoutes
from chimera_s1.adapters.simulator.rest.income import IncomeRoutes
from chimera_s1.adapters.simulator.rest.listen_keys import ListenKeyRoutes
from chimera_s1.adapters.simulator.rest.perp_account import PerpAccountRoutes
from chimera_s1.adapters.simulator.rest.perp_algo_orders import PerpAlgoOrderRoutes
from chimera_s1.adapters.simulator.rest.perp_contracts import PerpContractRoutes
from chimera_s1.adapters.simulator.rest.perp_market import PerpMarketRoutes
from chimera_s1.adapters.simulator.rest.perp_orders import PerpOrderRoutes
from chimera_s1.adapters.simulator.rest.perp_settings import PerpSettingRoutes
from chimera_s1.adapters.simulator.rest.rest_server import rest_application, serve
from chimera_s1.adapters.simulator.rest.routes import Route
from chimera_s1.adapters.simulator.rest.spot_account import SpotAccountRoutes
from chimera_s1.adapters.simulator.rest.spot_market import SpotMarketRoutes
from chimera_s1.adapters.simulator.rest.spot_order_lists import SpotOrderListRoutes
from chimera_s1.adapters.simulator.rest.spot_orders import SpotOrderRoutes
from chimera_s1.adapters.simulator.rest.spot_rules import SpotRuleRoutes
from chimera_s1.adapters.simulator.rest.subaccount import SubaccountRoutes
from chimera_s1.adapters.simulator.rest.wallet import WalletRoutes
from chimera_s1.adapters.simulator.s10.announcer import RevisionAnnouncer
from chimera_s1.adapters.simulator.s10.published_configuration import (
    PublishedConfiguration,
    first_rows,
)
from chimera_s1.adapters.simulator.s10.stand_in import s10_application
from chimera_s1.adapters.simulator.streams.book_updater import BookUpdater
from chimera_s1.adapters.simulator.streams.connection_faults import ConnectionFaults
from chimera_s1.adapters.simulator.streams.listen_keys import ListenKeys
from chimera_s1.adapters.simulator.streams.listings import Listings
from chimera_s1.adapters.simulator.streams.perp_user_events import PerpUserEvents
from chimera_s1.adapters.simulator.streams.perp_user_streams import PerpUserStreams
from chimera_s1.adapters.simulator.streams.playback import Playback, PlayedFile, symbols_in
from chimera_s1.adapters.simulator.streams.spot_user_stream import SpotUserStream
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_server import enforce_deadlines, stream_server
from chimera_s1.adapters.simulator.streams.throttled_streams import ThrottledStreams
from chimera_s1.adapters.simulator.streams.ws_api_connection import WsApiConnection
from chimera_s1.adapters.simulator.streams.ws_api_signing import verify_ws_api
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock

_log = logging.getLogger(__name__)
_FAULT_INTERVAL_S = 0.02
_WS_API_WEIGHT = 2


class Simulator:
    """Runs inside a task group: `addresses = await tasks.start(Simulator(config, clock).run)`."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        """Open the market and the account.

        Raises:
            RecordingDamagedError: The file to play is not a market data file.
            ConfigurationError: A position is in a contract that is not listed.
        """
        self._config = config
        self._local = clock
        self._clock = ScaledClock(clock.now_ms)
        self._faults = FaultRegistry(clock.monotonic_ms, clock.now_ms)
        self._market = Market(_symbol_specs(config), config.seed, self._clock.now_ms())
        self._rates = RateHistory(self._market, self._clock)
        self._positions = _positions(config, self._market)
        self._subscribed = anyio.Event()
        self._journal: MovementJournal | None = None
        self._limits = RateLimits(self._clock, config.limits)
        self._not_simulated = NotSimulated()
        self._hubs = {
            venue: StreamHub(
                venue,
                self._market,
                self._clock,
                self._faults,
                self._subscribed,
                limits=self._limits,
                not_simulated=self._not_simulated,
            )
            for venue in Venue
        }
        self._spot_user_stream = SpotUserStream(self._hubs[Venue.SPOT], self._faults, self._clock)
        self._perp_user_streams = PerpUserStreams(
            self._hubs[Venue.PERP], ListenKeys(self._clock), self._faults, self._clock
        )
        self._listings = Listings(self._clock)
        self._account = Account(_balances(config), self._clock, self._write_movement)
        self._account.on_transferred = self._transferred
        self._funding = FundingIncome(self._market, self._rates, self._positions, self._clock)
        self._behaviour = CurrentBehaviour()
        self._spot_desk = SpotDesk(self._market, self._clock, self._account, self._behaviour)
        self._spot_desk.listen(UnfilledOrders(self._limits))
        self._spot_desk.listen(self._spot_user_stream.desk_changed)
        self._perp_desk = PerpDesk(
            self._market,
            self._clock,
            self._account,
            self._behaviour,
            funded=self._positions,
            funding=self._funding,
        )
        self._perp_user_events = PerpUserEvents(self._market, self._perp_desk.settings)
        self._perp_desk.listen(self._publish_perp_event)
        self._desks: dict[Venue, Desk] = {
            Venue.SPOT: self._spot_desk,
            Venue.PERP: self._perp_desk,
        }
        self._updater = BookUpdater(tuple(self._hubs.values()), config.rate, clock, self._desks)
        self._player = ScenarioPlayer(self._faults, clock)

    async def run(
        self, *, task_status: TaskStatus[SimulatorAddresses] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Listen until cancelled; *task_status* gets the addresses once all ports are open.

        Raises:
            ConfigurationError: A port is taken, or the journal cannot be written.
        """
        async with AsyncExitStack() as stack:
            addresses = await self._listen(stack)
            async with anyio.create_task_group() as tasks:
                self._start_market(tasks)
                self._start_faults(tasks)
                tasks.start_soon(self._listings.run)
                tasks.start_soon(self._perp_user_streams.run)
                for hub in self._hubs.values():
                    tasks.start_soon(enforce_deadlines, hub)
                task_status.started(addresses)
                await anyio.sleep_forever()

    def _start_faults(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._apply_faults)
        tasks.start_soon(self._player.run)
        if self._config.scenario is not None:
            start = self._player.start_on_first_subscription
            tasks.start_soon(start, self._config.scenario, self._subscribed)

    async def _apply_faults(self) -> None:
        hubs = tuple(self._hubs.values())
        global_faults = GlobalFaults(self._clock, self._updater, self._faults)
        connection_faults = ConnectionFaults(hubs, self._clock, self._faults)
        while True:
            global_faults.apply()
            connection_faults.apply()
            self._account.run_due()
            self._spot_user_stream.release_due()
            self._perp_user_streams.release_due()
            await anyio.sleep(_FAULT_INTERVAL_S)

    def _start_market(self, tasks: TaskGroup) -> None:
        config, hubs = self._config, tuple(self._hubs.values())
        if config.play is None:
            tasks.start_soon(self._updater.run)
            tasks.start_soon(ThrottledStreams(hubs, self._local).run)
            return
        rate = config.rate if config.play_at_rate else None
        played = PlayedFile(config.play)
        playback = Playback(
            played.records, hubs, self._local, self._subscribed, rate=rate, loop=config.loop
        )
        tasks.start_soon(playback.run)

    async def _listen(self, stack: AsyncExitStack) -> SimulatorAddresses:
        config, host = self._config, self._config.host
        account = self._account
        self._open_journal(stack)
        spot_rest = self._rest(Venue.SPOT, self._spot_routes(account))
        perp_rest = self._rest(Venue.PERP, self._perp_routes(account))
        s10, s10_url = await self._open_s10(stack)
        control = self._control_plane(account, s10)
        archive = self._archive()
        return SimulatorAddresses(
            s10_url=s10_url,
            spot_rest_url=await _open_http(stack, spot_rest, host, config.spot_rest_port),
            spot_ws_url=await self._open_ws(stack, Venue.SPOT, config.spot_ws_port),
            perp_rest_url=await _open_http(stack, perp_rest, host, config.perp_rest_port),
            perp_ws_url=await self._open_ws(stack, Venue.PERP, config.perp_ws_port),
            archive_url=await _open_http(stack, archive, host, config.archive_port),
            control_url=await _open_http(stack, control, LOOPBACK, config.control_port),
        )

    async def _open_s10(self, stack: AsyncExitStack) -> tuple[S10Control | None, str]:
        """The stand-in's control and URL; None and empty where it is not wanted."""
        config = self._config.s10
        if config is None:
            return None, ""
        specs = (each.spec for venue in Venue for each in self._market.listed(venue))
        published, announcer = PublishedConfiguration(first_rows(specs)), RevisionAnnouncer()
        stack.push_async_callback(announcer.close)
        if config.redis:
            await announcer.connect(config.redis)
            await announcer.announce(published.document["rev"], self._clock.local_ms())
        application = s10_application(published, self._faults, self._clock)
        url = await _open_http(stack, application, self._config.host, config.port)
        return S10Control(published, announcer, self._clock), url

    def _archive(self) -> web.Application:
        files = FundingFiles(self._market, self._rates, self._clock)
        return archive_application(files, self._faults, self._clock)

    def _control_plane(self, account: Account, s10: S10Control | None) -> web.Application:
        return ControlPlane(
            tuple(self._hubs.values()),
            self._updater,
            self._clock,
            self._faults,
            self._player,
            account=AccountControl(account),
            orders=OrderControl(self._spot_desk, self._perp_desk, self._behaviour),
            prices=PriceControl(tuple(self._hubs.values()), tuple(self._desks.values())),
            funding=FundingControl(self._market, self._rates, self._positions, self._clock),
            limits=self._limits,
            listings=self._listings,
            s10=s10,
            user_streams=UserStreamControl(self._perp_user_streams),
            not_simulated=self._not_simulated,
        ).application()

    def _spot_routes(self, account: Account) -> list[Route]:
        authenticator, desk = self._authenticator(account), self._spot_desk
        return [
            *SpotMarketRoutes(self._market, self._clock, self._limits).routes(),
            *WalletRoutes(account, authenticator, self._clock).routes(),
            *SubaccountRoutes(account, authenticator, self._clock).routes(),
            *AssetCatalogueRoutes(self._market, account, authenticator).routes(),
            *SpotRuleRoutes(self._market, authenticator, self._clock).routes(),
            *SpotAccountRoutes(desk, authenticator, self._limits, self._clock).routes(),
            *SpotOrderRoutes(desk, authenticator).routes(),
            *SpotOrderListRoutes(desk, authenticator).routes(),
        ]

    def _perp_routes(self, account: Account) -> list[Route]:
        authenticator, market, clock = self._authenticator(account), self._market, self._clock
        desk, limits = self._perp_desk, self._limits
        return [
            *PerpMarketRoutes(market, clock, limits).routes(),
            *PerpAccountRoutes(desk, market, authenticator, clock).routes(),
            *PerpSettingRoutes(desk, market, authenticator).routes(),
            *PerpOrderRoutes(desk, market, authenticator, limits, clock).routes(),
            *PerpAlgoOrderRoutes(desk, market, authenticator, clock).routes(),
            *PerpContractRoutes(market, account, authenticator, clock).routes(),
            *FundingRoutes(market, self._rates).routes(),
            *ListenKeyRoutes(self._perp_user_streams.keys, authenticator).routes(),
            *IncomeRoutes(account, self._funding, authenticator, clock).routes(),
            *CoinMarketRoutes(market, clock, limits).routes(),
        ]

    def _authenticator(self, account: Account) -> Authenticator:
        return Authenticator(self._config.account.api_key, account, self._clock)

    def _rest(self, venue: Venue, routes: list[Route]) -> web.Application:
        return rest_application(
            venue,
            routes,
            self._limits,
            self._faults,
            self._clock,
            not_simulated=self._not_simulated,
        )

    def _transferred(self, wallet: WalletName, change: Decimal, at_ms: int) -> None:
        self._spot_user_stream.balance_updated(wallet, change, at_ms)
        self._perp_desk.transferred(wallet, change, at_ms)

    def _publish_perp_event(self, event: PerpEvent) -> None:
        for frame in self._perp_user_events.frames(event, self._clock.now_ms()):
            self._perp_user_streams.publish(frame)

    def _open_journal(self, stack: AsyncExitStack) -> None:
        path = self._config.account.journal
        if path is not None:
            self._journal = MovementJournal(path)
            stack.callback(self._journal.close)

    def _write_movement(self, movement: Movement) -> None:
        """Without a journal, movements are only in memory."""
        if self._journal is not None:
            self._journal.write(movement)

    async def _open_ws(self, stack: AsyncExitStack, venue: Venue, port: int) -> str:
        host = self._config.host
        ws_api = self._open_ws_api if venue is Venue.SPOT else None
        server = stream_server(self._hubs[venue], host, port, open_ws_api=ws_api)
        address = await _bind(stack, server, host, port)
        return f"ws://{address}"

    def _open_ws_api(self) -> WsApiConnection:
        return WsApiConnection(
            self._clock,
            self._spot_user_stream,
            self._authenticate_ws_api,
            self._spend_ws_api,
            self._report_missing_method,
        )

    def _report_missing_method(self, method: str) -> None:
        self._not_simulated.record(Venue.SPOT, Feature.REQUEST, method, "answered -1020")

    def _authenticate_ws_api(self, parameters: Mapping[str, Any]) -> None:
        verify_ws_api(parameters, self._config.account.api_key, self._clock.now_ms())

    def _spend_ws_api(self, address: str) -> LimitReply | None:
        return self._limits.spend(charges(Bucket.SPOT_WEIGHT, _WS_API_WEIGHT), address)


async def _open_http(
    stack: AsyncExitStack, application: web.Application, host: str, port: int
) -> str:
    return f"http://{await _bind(stack, serve(application, host, port), host, port)}"


async def _bind(
    stack: AsyncExitStack, server: AbstractAsyncContextManager[int], host: str, port: int
) -> str:
    try:
        bound = await stack.enter_async_context(server)
    except OSError as error:
        raise ConfigurationError(
            f"{host}:{port} cannot be opened: {error.strerror}; "
            "stop the program that uses the port, or choose another port, or 0 for any free one"
        ) from error
    return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"


def _balances(config: SimulatorConfig) -> dict[WalletName, Decimal]:
    account = config.account
    return {WalletName.SPOT: account.spot_usdt, WalletName.FUT: account.fut_usdt}


def _positions(config: SimulatorConfig, market: Market) -> Positions:
    positions = Positions()
    for each in config.account.positions:
        contract = market.find_funded(each.symbol)
        if contract is None:
            raise ConfigurationError(
                f"--positions: {each.symbol} is no USD-M contract of this simulator; write one of "
                "--symbols"
            )
        asset = each.asset or contract.spec.quote
        positions.open(contract, 0, {Side.BOTH: each.amount}, asset)
    return positions


def _symbol_specs(config: SimulatorConfig) -> tuple[SymbolSpec, ...]:
    build = build_whole_market if config.whole_market else build_symbols
    if config.play is None:
        return build(config.symbols)
    named = config.symbols if isinstance(config.symbols, tuple) else ()
    return build(tuple(dict.fromkeys((*named, *symbols_in(config.play)))))
