"""The part of the execution capability that places and follows orders."""

import random
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.capabilities.execution.cancel_orders import CancelOrders
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.follow_account import FollowAccount
from chimera_s1.app.capabilities.execution.order_metrics import (
    orders_source,
    private_streams_source,
)
from chimera_s1.app.capabilities.execution.orders_in_flight import OrdersInFlight
from chimera_s1.app.capabilities.execution.place_orders import PlaceOrders, RulesCheck
from chimera_s1.app.capabilities.execution.query_working import QueryWorking
from chimera_s1.app.capabilities.execution.record_replies import RecordReplies
from chimera_s1.app.capabilities.execution.report_orders import ReportOrders, ReportPrivateStream
from chimera_s1.app.capabilities.execution.resolve_unknown import ResolveUnknown
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.execution.deaf_stream_check import DeafStreamCheck
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.ports.account_hold import AccountHold
from chimera_s1.domain.ports.account_stream import AccountStream, StreamEvent
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_account import ExchangeAccount
from chimera_s1.domain.ports.order_gateway import OrderGateway

RECORD_DELAY = "s1_account_event_record_seconds"
RECORD_DELAY_HELP = "From an event of a private stream to its record in the execution ledger."
RECORD_DELAY_BOUNDS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000)


class Exchange(Struct, frozen=True, kw_only=True):
    """One account at the exchange.

    Attributes:
        streams: Of the venues that are served.
        exchange_ms: The clock of a venue, epoch ms; raises `ClockUncertainError`.
        on_clock_suspect: Called when the exchange rejects our timestamp.
    """

    gateway: OrderGateway
    account: ExchangeAccount
    streams: Mapping[Venue, AccountStream]
    exchange_ms: Callable[[Venue], float]
    on_clock_suspect: Callable[[Venue], None]


class Rules(Struct, frozen=True, kw_only=True):
    """What an order must pass before it is signed, and while it waits to be sent."""

    gate: TradingGate
    hold: AccountHold
    check: RulesCheck
    is_stopping: Callable[[], bool]


class Listeners(Struct, frozen=True, kw_only=True):
    """What else follows the account: see `FollowAccount`."""

    notify: Callable[[Venue, StreamEvent], None]
    request_reconciliation: Callable[[str], None]
    relay_error: Callable[[], str]


class Orders(Struct, frozen=True, kw_only=True):
    in_flight: OrdersInFlight
    place: PlaceOrders
    cancel: CancelOrders
    following: FollowAccount
    resolver: ResolveUnknown
    queries: QueryWorking
    workers: tuple[Worker, ...]
    health: tuple[HealthSource, ...]
    metrics: tuple[MetricSource, ...]
    histograms: tuple[LatencyHistogram, ...]


def build_orders(
    ledger: ExecutionLedger, exchange: Exchange, rules: Rules, listeners: Listeners, clock: Clock
) -> Orders:
    gateway, streams, exchange_ms = exchange.gateway, exchange.streams, exchange.exchange_ms
    in_flight, recorder = OrdersInFlight(), RecordReplies(clock, random.random)
    deaf_checks = {venue: DeafStreamCheck() for venue in streams}
    resolver = ResolveUnknown(
        ledger,
        gateway,
        clock=clock,
        exchange_ms=exchange_ms,
        in_flight=in_flight,
        draw=random.random,
        venues=streams,
    )
    place = _place(ledger, exchange, rules, in_flight, recorder, clock)
    cancel = _cancel(ledger, exchange, resolver, recorder, clock)
    queries = QueryWorking(
        ledger, gateway, streams, deaf_checks, clock=clock, exchange_ms=exchange_ms
    )
    delay = LatencyHistogram(RECORD_DELAY, RECORD_DELAY_HELP, RECORD_DELAY_BOUNDS_MS)
    following = FollowAccount(
        ledger,
        streams,
        deaf_checks,
        clock=clock,
        exchange_ms=exchange_ms,
        notify=listeners.notify,
        request_reconciliation=listeners.request_reconciliation,
        observe_ms=delay.observe,
    )
    orders = ReportOrders(
        ledger, resolver, queries, recorder, clock, relay_error=listeners.relay_error
    )
    return Orders(
        in_flight=in_flight,
        place=place,
        cancel=cancel,
        following=following,
        resolver=resolver,
        queries=queries,
        workers=(
            Worker("private streams", following.run),
            Worker("order lookups", resolver.run),
            Worker("order queries", queries.run),
        ),
        health=(
            HealthSource("orders", orders.report, required=False),
            *_stream_health(streams, following, queries, clock),
        ),
        metrics=(
            orders_source(ledger, place, cancel, recorder, resolver),
            private_streams_source(streams, following, queries),
        ),
        histograms=(delay,),
    )


def _stream_health(
    streams: Mapping[Venue, AccountStream],
    following: FollowAccount,
    queries: QueryWorking,
    clock: Clock,
) -> Iterator[HealthSource]:
    for venue, stream in streams.items():
        report = ReportPrivateStream(stream, following, queries, clock)
        yield HealthSource(f"private_stream.{venue.value}", report.report, required=False)


def _place(  # noqa: PLR0917 (parts by position)
    ledger: ExecutionLedger,
    exchange: Exchange,
    rules: Rules,
    in_flight: OrdersInFlight,
    recorder: RecordReplies,
    clock: Clock,
) -> PlaceOrders:
    return PlaceOrders(
        ledger,
        exchange.gateway,
        rules.gate,
        rules.hold,
        clock=clock,
        exchange_ms=exchange.exchange_ms,
        check_rules=rules.check,
        is_stopping=rules.is_stopping,
        on_clock_suspect=exchange.on_clock_suspect,
        in_flight=in_flight,
        recorder=recorder,
        venues=exchange.streams,
    )


def _cancel(
    ledger: ExecutionLedger,
    exchange: Exchange,
    resolver: ResolveUnknown,
    recorder: RecordReplies,
    clock: Clock,
) -> CancelOrders:
    return CancelOrders(
        ledger,
        exchange.gateway,
        clock=clock,
        exchange_ms=exchange.exchange_ms,
        hurry=resolver.hurry,
        on_clock_suspect=exchange.on_clock_suspect,
        recorder=recorder,
    )
