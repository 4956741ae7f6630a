"""The execution capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from uuid import uuid4

from msgspec import structs

from chimera_s1.adapters.binance.account_key import AccountKey, LastGoodKey, naming_venue
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.orders.account import BinanceExchangeAccount
from chimera_s1.adapters.binance.orders.gateway import BinanceOrderGateway
from chimera_s1.adapters.binance.user_stream.listen_key import BinanceListenKeyRequests
from chimera_s1.adapters.binance.user_stream.perp_stream import PerpAccountStream
from chimera_s1.adapters.binance.user_stream.private_connection import StreamSetup
from chimera_s1.adapters.binance.user_stream.spot_stream import SpotAccountStream
from chimera_s1.adapters.redis.order_events import RedisOrderEvents
from chimera_s1.app.capabilities.execution.account_wiring import Account, build_account
from chimera_s1.app.capabilities.execution.check_order_rules import CheckOrderRules
from chimera_s1.app.capabilities.execution.entries.use_cases import Entries
from chimera_s1.app.capabilities.execution.entries_wiring import (
    Market,
    Platform,
    build_entries,
)
from chimera_s1.app.capabilities.execution.execution_ledger import (
    EXECUTION_LEDGER,
    ExecutionLedger,
)
from chimera_s1.app.capabilities.execution.order_metrics import (
    ReadyConnections,
    connections_source,
)
from chimera_s1.app.capabilities.execution.orders_wiring import (
    Exchange,
    Listeners,
    Orders,
    Rules,
    build_orders,
)
from chimera_s1.app.capabilities.execution.read_account import ReadAccount
from chimera_s1.app.capabilities.execution.relay_executions import (
    RELAY_CURSOR,
    build_execution_relay,
)
from chimera_s1.app.capabilities.execution.settings import ExecutionSettings
from chimera_s1.app.capabilities.execution.web.routes import execution_part
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.capability import Capability, PendingWrites
from chimera_s1.app.foundation import Foundation, endpoints_for, exchange_key
from chimera_s1.app.stop_flag import StopFlag
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.execution.account_health import NoKeyHealthReport
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.ports.account_hold import AccountHold
from chimera_s1.domain.ports.account_stream import (
    AccountChanged,
    AccountStream,
    StreamEvent,
    StreamResumed,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.current_quotes import CurrentQuotes
from chimera_s1.domain.ports.order_events import OrderEvents
from chimera_s1.domain.ports.spec_reader import SpecReader

QUOTE_AGE_MAX_MS = 2_000
"""An older quote says nothing about the side of a trigger; the exchange decides then."""

READY_CONNECTIONS = 2
"""To each venue, for orders."""

NamedSymbols = Mapping[Venue, tuple[Symbol, ...]]


def execution_enabled(settings: ExecutionSettings) -> bool:
    """False without an exchange key."""
    return settings.moves_money


@asynccontextmanager
async def open_execution(  # noqa: PLR0917 (parts by position)
    settings: ExecutionSettings,
    base: Foundation,
    operations: Operations,
    specs: SpecReader,
    quotes: CurrentQuotes,
    hold: AccountHold,
    named: NamedSymbols,
) -> AsyncIterator[Capability]:
    """Orders and the account's picture; without a key, routes that answer `execution.disabled`."""
    if not execution_enabled(settings):
        yield Capability(
            name="execution",
            health=(HealthSource("account", NoKeyHealthReport, required=False),),
            web=execution_part(ReadAccount(None), Entries(None)),
        )
        return
    # Of both venues: an order of a venue that is not served any more can still be cancelled.
    endpoints = endpoints_for(settings, tuple(Venue))
    async with (
        HttpClient(endpoints, base.budgets) as key_client,
        HttpClient(endpoints, base.budgets) as client,
        base.connect_redis() as redis,
    ):
        ledger = _open_ledger(base, operations)
        key = _key(settings, operations, ledger, key_client)
        rows = RowReader(partial(report_unusable_row, operations.outbox))
        gateway = BinanceOrderGateway(client, key)
        setups = _stream_setups(settings, base, operations)
        streams: dict[Venue, AccountStream] = {}
        if Venue.SPOT in setups:
            refresh = operations.spot_patrol.request_refresh
            spot = endpoints[Venue.SPOT]
            streams[Venue.SPOT] = SpotAccountStream(spot, key, setups[Venue.SPOT], refresh)
        if Venue.PERP in setups:
            requests = BinanceListenKeyRequests(client, key)
            perp = endpoints[Venue.PERP]
            streams[Venue.PERP] = PerpAccountStream(perp, requests, setups[Venue.PERP])
        exchange = Exchange(
            gateway=gateway,
            account=BinanceExchangeAccount(
                client, key, operations.signing_ms, rows, settings.venues
            ),
            streams=streams,
            exchange_ms=lambda venue: operations.patrol(venue).exchange_ms(),
            on_clock_suspect=partial(refresh_clocks, operations),
        )
        events = RedisOrderEvents(redis, maxlen=settings.ops_maxlen)
        connections = partial(gateway.keep_ready, settings.venues, READY_CONNECTIONS)
        keep_ready = Worker("order connections", connections)
        capability = _working(
            settings,
            base,
            operations,
            ledger,
            exchange,
            specs,
            quotes,
            hold,
            named,
            events,
            keep_ready,
        )
        source = connections_source(partial(_ready_connections, client, settings.venues))
        yield structs.replace(capability, metrics=(*capability.metrics, source))


def _open_ledger(base: Foundation, operations: Operations) -> ExecutionLedger:
    return ExecutionLedger(
        base.stores.ledger(EXECUTION_LEDGER),
        clock=base.clock,
        new_id=lambda: uuid4().hex,
        draw=random.random,
        report_unknown=operations.outbox.record,
        read_relayed_seq=partial(base.stores.cursors.read, RELAY_CURSOR),
    )


def _stream_setups(
    settings: ExecutionSettings, base: Foundation, operations: Operations
) -> Mapping[Venue, StreamSetup]:
    return {
        venue: StreamSetup(
            clock=base.clock,
            gate=base.gates[venue],
            draw=random.random,
            report=operations.outbox.record,
        )
        for venue in settings.venues
    }


def _ready_connections(client: HttpClient, venues: tuple[Venue, ...]) -> Iterator[ReadyConnections]:
    for venue in venues:
        pool = client.single_use(venue)
        yield ReadyConnections(venue, pool.ready, pool.taken_ready, pool.dialed)


def refresh_clocks(operations: Operations, venue: Venue) -> None:
    """A request is signed with the clock of the spot host while that of its own is not known."""
    for patrol in {operations.spot_patrol, operations.patrol(venue)}:
        patrol.request_refresh()


def _key(
    settings: ExecutionSettings,
    operations: Operations,
    ledger: ExecutionLedger,
    client: HttpClient,
) -> LastGoodKey:
    """Its account is named as in the ledger, so that the two can be compared; before the first
    event, by the first venue that is served.
    """

    def named_by() -> Venue:
        if ledger.state.account:
            return naming_venue(ledger.state.account)
        return Venue.SPOT if Venue.SPOT in settings.venues else Venue.PERP

    read = exchange_key(settings, client, operations.signing_ms, named_by)

    async def key() -> AccountKey | None:
        if not ledger.is_read:
            await ledger.refresh()
        if not (ledger.is_read or ledger.damage):
            raise ExchangeUnavailableError(
                f"whose orders the execution ledger has is not known yet: {ledger.last_error}"
            )
        return await read()

    return LastGoodKey(key, ledger.use_account)


def _working(  # noqa: PLR0917 (parts by position)
    settings: ExecutionSettings,
    base: Foundation,
    operations: Operations,
    ledger: ExecutionLedger,
    exchange: Exchange,
    specs: SpecReader,
    quotes: CurrentQuotes,
    hold: AccountHold,
    named: NamedSymbols,
    events: OrderEvents,
    keep_ready: Worker,
) -> Capability:
    account = build_account(base, operations, ledger, exchange, named)
    relay, relaying = _relay(base, ledger, events)
    stopping = StopFlag()
    rules = Rules(
        gate=operations.gate,
        hold=hold,
        check=CheckOrderRules(specs.spec, partial(_prices, quotes, base.clock, QUOTE_AGE_MAX_MS)),
        is_stopping=stopping.is_set,
    )
    listeners = Listeners(
        notify=partial(_notify, account),
        request_reconciliation=account.reconcile.request,
        relay_error=lambda: relay.last_error,
    )
    orders = build_orders(ledger, exchange, rules, listeners, base.clock)
    entries = build_entries(
        settings,
        ledger,
        exchange,
        orders,
        account,
        Market(
            specs=specs,
            quotes=quotes,
            prices=partial(_prices, quotes, base.clock, settings.entry_quote_age_ms),
            risk=operations.risk_limits,
        ),
        Platform(
            clock=base.clock,
            leases=base.stores.leases,
            closed=orders.place.closed,
            hold_ms=lambda venue: base.budgets[venue].blocked_ms(),
            record=operations.outbox.record,
        ),
    )
    return Capability(
        name="execution",
        workers=(
            Worker("execution ledger", ledger.run),
            Worker("order placement", stopping.wait, stopping.set),
            relaying,
            keep_ready,
            *(
                _after_clock(operations, each)
                for each in (*orders.workers, *account.workers, *entries.workers)
            ),
        ),
        jobs=account.jobs,
        health=(*orders.health, *account.health, *entries.health),
        metrics=(*orders.metrics, *account.metrics),
        histograms=orders.histograms,
        web=execution_part(ReadAccount((account.picture, account.reconcile)), entries.entries),
        pending_writes=(_pending(orders),),
    )


def _notify(account: Account, _venue: Venue, event: StreamEvent) -> None:
    match event:
        case AccountChanged(what=what):
            account.check.account_changed(what)
        case StreamResumed():
            pass  # it has requested a reconciliation
        case _:
            account.picture.apply(event)


def _after_clock(operations: Operations, worker: Worker) -> Worker:
    """At the start nothing can be signed for some 100 ms, which is no problem to report."""

    async def run() -> None:
        for patrol in operations.patrols:
            await patrol.wait_measured_once()
        await worker.run()

    return structs.replace(worker, run=run)


def _prices(
    quotes: CurrentQuotes, clock: Clock, age_max_ms: int, instrument: InstrumentId
) -> CurrentPrices | None:
    quote = quotes.newest(instrument)
    if quote is None or clock.now_ms() - quote.received_ms > age_max_ms:
        return None
    return CurrentPrices(bid=Decimal(decimal_text(quote.bid)), ask=Decimal(decimal_text(quote.ask)))


def _relay(
    base: Foundation, ledger: ExecutionLedger, events: OrderEvents
) -> tuple[LedgerRelay, Worker]:
    lease = JobLease("execution.relay", base.stores.leases, uuid4().hex, base.clock)
    relay = build_execution_relay(
        ledger, base.stores.cursors, events, clock=base.clock, is_mine=lease.acquire_or_renew
    )

    async def run() -> None:
        async with lease.released_at_end():
            await relay.run()

    return relay, Worker("execution relay", run)


def _pending(orders: Orders) -> PendingWrites:
    following = orders.following
    return PendingWrites("reports of the account", following.flush, lambda: following.waiting)
