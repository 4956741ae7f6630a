"""Metrics of orders and of the private streams."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from chimera_s1.app.capabilities.execution.cancel_orders import CancelOrders
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.follow_account import FollowAccount
from chimera_s1.app.capabilities.execution.place_orders import PlaceOrders
from chimera_s1.app.capabilities.execution.query_working import QueryWorking
from chimera_s1.app.capabilities.execution.record_replies import RecordReplies
from chimera_s1.app.capabilities.execution.resolve_unknown import ResolveUnknown
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.ports.account_stream import AccountStream, StreamCondition


def orders_source(
    ledger: ExecutionLedger,
    placing: PlaceOrders,
    cancelling: CancelOrders,
    recorder: RecordReplies,
    resolver: ResolveUnknown,
) -> MetricSource:
    """Open orders, replies to requests, and lookups of unknown outcomes."""
    return lambda: [
        *_open_orders(ledger),
        *_replies(placing.replies, cancelling.replies, recorder.given_up),
        *_unstored(cancelling.unstored),
        *_lookups(resolver),
    ]


def private_streams_source(
    streams: Mapping[Venue, AccountStream], following: FollowAccount, queries: QueryWorking
) -> MetricSource:
    """The private streams, what they say, and the queries of working orders."""
    return lambda: [*_streams(streams, queries), *_followed(following), *_queries(queries)]


class ReadyConnections(Struct, frozen=True):
    """Connections to one venue for orders: so many are open, were open before their order, and were
    opened while it waited.
    """

    venue: Venue
    ready: int
    taken_ready: int
    dialed: int


def connections_source(read: Callable[[], Iterable[ReadyConnections]]) -> MetricSource:
    """Whether orders find a connection that is open."""
    return lambda: [sample for each in read() for sample in _connections(each)]


def _connections(now: ReadyConnections) -> Iterator[Sample]:
    name = now.venue.value
    about = "Open connections that have carried no request, for orders."
    yield gauge("s1_order_connections_ready", about, now.ready, venue=name)
    about = "Connections that orders and cancels took, by whether they were open before."
    for how, number in (("ready", now.taken_ready), ("dialed", now.dialed)):
        yield counter("s1_order_connections_total", about, number, venue=name, connection=how)


def _open_orders(ledger: ExecutionLedger) -> Iterator[Sample]:
    phases = Counter(order.phase.value for order in ledger.state.open_orders())
    for phase in ("planned", "unknown", "acknowledged"):
        yield gauge("s1_orders", "Open orders of ours, by phase.", phases[phase], phase=phase)


def _replies(placed: Counter[str], cancelled: Counter[str], given_up: int) -> Iterator[Sample]:
    about = "Order and cancel requests, by the class of the reply."
    for request, replies in (("order", placed), ("cancel", cancelled)):
        for reply, number in sorted(replies.items()):
            yield counter("s1_order_replies_total", about, number, request=request, reply=reply)
    about = "Replies that were not recorded; their orders are looked up."
    yield counter("s1_order_replies_unrecorded_total", about, given_up)


def _unstored(number: int) -> Iterator[Sample]:
    about = "Cancels that were sent although the ledger's store did not take them."
    yield counter("s1_order_cancels_unstored_total", about, number)


def _lookups(resolver: ResolveUnknown) -> Iterator[Sample]:
    about = "Lookups of orders with an unknown outcome."
    for result in ("found", "not_found", "failed"):
        yield counter("s1_order_lookups_total", about, resolver.lookups[result], result=result)


def _streams(streams: Mapping[Venue, AccountStream], queries: QueryWorking) -> Iterator[Sample]:
    for venue, stream in streams.items():
        now, name = stream.report(), venue.value
        proven = int(now.condition is StreamCondition.PROVEN)
        yield gauge("s1_private_stream_proven", "1 while events arrive.", proven, venue=name)
        about = "Events of the private stream."
        yield counter("s1_private_stream_events_total", about, now.events, venue=name)
        about = "Connections made again."
        yield counter("s1_private_stream_reconnects_total", about, now.reconnects, venue=name)
        about = "Connections given up because the stream was deaf."
        renewals = queries.renewals[venue]
        yield counter("s1_private_stream_renewals_total", about, renewals, venue=name)


def _followed(following: FollowAccount) -> Iterator[Sample]:
    about = "Reports of the private streams that are not recorded yet."
    yield gauge("s1_account_reports_waiting", about, following.waiting)
    about = "Reports of the private streams in the ledger."
    yield counter("s1_account_reports_recorded_total", about, following.recorded)
    about = "Reports of the private streams that found no room; a reconciliation repairs it."
    yield counter("s1_account_reports_dropped_total", about, following.dropped)


def _queries(queries: QueryWorking) -> Iterator[Sample]:
    yield counter("s1_order_queries_total", "Queries of working orders.", queries.queries)
    about = "Queries of working orders that failed."
    yield counter("s1_order_queries_failed_total", about, queries.failures)
    about = "Queries of working orders that wait for their turn."
    yield gauge("s1_order_queries_late", about, queries.late)
