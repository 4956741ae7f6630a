"""The parts that place and follow orders, wired as in the service, at a simulator."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
from msgspec import Struct

from chimera_s1.adapters.binance.account_key import AccountKey, KeySource
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.orders.account import BinanceExchangeAccount
from chimera_s1.adapters.binance.orders.gateway import BinanceOrderGateway
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.user_stream.listen_key import BinanceListenKeyRequests
from chimera_s1.adapters.binance.user_stream.perp_stream import PerpAccountStream
from chimera_s1.adapters.binance.user_stream.private_connection import StreamSetup
from chimera_s1.adapters.binance.user_stream.spot_stream import SpotAccountStream
from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.orders_wiring import (
    Exchange,
    Listeners,
    Orders,
    Rules,
    build_orders,
)
from chimera_s1.app.capabilities.execution.place_orders import RulesCheck
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.treasury.current_account_hold import CurrentAccountHold
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.execution.order_request import OrderRequest
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.dial_budget import dial_limit
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.account_stream import AccountStream, StreamCondition
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.order_gateway import OrderGateway

ACTOR = "tester"
CLOCK = SystemClock()
FOR_EVER_MS = 60_000.0
READY_CONNECTIONS = 2
"""As the service has."""


def any_order(request: OrderRequest, *, opens: bool) -> None:
    """Implements `RulesCheck`: the exchange decides."""
    del request, opens


class OrderInstance(Struct, frozen=True):
    """Attributes:
    client: Of REST, for its connections.
    resumed: Notified when a private stream has resumed.
    """

    ledger: ExecutionLedger
    orders: Orders
    client: HttpClient
    streams: Mapping[Venue, AccountStream]
    resumed: ChangeSignal

    async def place(self, request: OrderRequest) -> TrackedOrder:
        """Place *request* as the entry of a position."""
        placement = await self.orders.place.place(request, "entry", Purpose.ENTRY, ACTOR)
        return placement.order

    async def streaming(self) -> None:
        """Return once both private streams are connected."""
        while any(
            stream.report().condition is StreamCondition.DISCONNECTED
            for stream in self.streams.values()
        ):
            await self.resumed.next_after(self.resumed.version)

    async def known(self, client_id: str, is_known: Callable[[TrackedOrder], bool]) -> TrackedOrder:
        """The order as soon as it *is_known*."""
        while True:
            order = self.ledger.state.orders.get(client_id)
            if order is not None and is_known(order):
                return order
            await self.ledger.wait_changed(client_id, order, FOR_EVER_MS)


def _endpoints(urls: Mapping[str, str]) -> Mapping[Venue, Endpoints]:
    spot_ws_url = urls["spot_ws_url"]
    return {
        Venue.SPOT: Endpoints(
            urls["spot_rest_url"], spot_ws_url, ws_api_url=f"{spot_ws_url}/ws-api/v3"
        ),
        Venue.PERP: Endpoints(urls["perp_rest_url"], urls["perp_ws_url"]),
    }


def _streams(
    endpoints: Mapping[Venue, Endpoints], client: HttpClient, key: KeySource
) -> dict[Venue, AccountStream]:
    def setup() -> StreamSetup:
        return StreamSetup(
            clock=CLOCK,
            gate=DialGate(CLOCK, VenueHold(), dial_limit(1)),
            draw=random.random,
            report=lambda _, __: None,
        )

    requests = BinanceListenKeyRequests(client, key)
    return {
        Venue.SPOT: SpotAccountStream(endpoints[Venue.SPOT], key, setup()),
        Venue.PERP: PerpAccountStream(endpoints[Venue.PERP], requests, setup()),
    }


def _rules(check: RulesCheck) -> Rules:
    gate = TradingGate(
        kill_switch_on=lambda: False, mode=lambda: TradingMode.NORMAL, mode_known=lambda: True
    )
    return Rules(gate=gate, hold=CurrentAccountHold(), check=check, is_stopping=lambda: False)


def _new_ledger(store: EventStore) -> ExecutionLedger:
    return ExecutionLedger(
        store,
        clock=CLOCK,
        new_id=lambda: uuid4().hex,
        draw=random.random,
        report_unknown=lambda _, __: None,
    )


async def _key() -> AccountKey:
    credentials = Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret))
    return AccountKey(Signer(credentials, CLOCK.now_ms), "simulator:1")


@asynccontextmanager
async def order_instance(
    urls: Mapping[str, str],
    store: EventStore,
    *,
    check: RulesCheck = any_order,
    gateway_of: Callable[[OrderGateway], OrderGateway] = lambda gateway: gateway,
    follow: bool = True,
    later_ms: float = 0,
) -> AsyncIterator[OrderInstance]:
    """An instance whose workers run during the block.

    Args:
        urls: Of the simulator.
        store: Of its execution ledger.
        gateway_of: Puts something in front of the gateway.
        follow: Whether private streams are followed, and orders looked up.
        later_ms: So much later is it for what judges the age of orders; requests have the real
            time.
    """
    endpoints = _endpoints(urls)
    async with HttpClient(endpoints, weight_budgets(CLOCK)) as client:
        gateway = BinanceOrderGateway(client, _key)
        streams = _streams(endpoints, client, _key)
        exchange = Exchange(
            gateway=gateway_of(gateway),
            account=BinanceExchangeAccount(client, _key, lambda _: CLOCK.now_ms()),
            streams=streams,
            exchange_ms=lambda _: CLOCK.now_ms() + later_ms,
            on_clock_suspect=lambda _: None,
        )
        ledger, resumed = _new_ledger(store), ChangeSignal()
        listeners = Listeners(
            notify=lambda _, __: None,
            request_reconciliation=lambda _: resumed.notify(),
            relay_error=lambda: "",
        )
        orders = build_orders(ledger, exchange, _rules(check), listeners, CLOCK)
        async with anyio.create_task_group() as tasks:
            await ledger.refresh()
            tasks.start_soon(ledger.run)
            tasks.start_soon(gateway.keep_ready, tuple(Venue), READY_CONNECTIONS)
            for worker in orders.workers if follow else ():
                tasks.start_soon(_run, worker)
            yield OrderInstance(ledger, orders, client, exchange.streams, resumed)
            tasks.cancel_scope.cancel()


async def _run(worker: Worker) -> None:
    await worker.run()
