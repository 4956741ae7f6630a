"""What the use cases count, under the names it has on the Prometheus page."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from chimera_s1.adapters.telemetry.metrics_page import MetricSource, Sample, counter, gauge
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.domain.market.liveness import Liveness


def publishing_source(publishing: PublishQuotes) -> MetricSource:
    """Windows and the quotes that waited for the store."""
    counters = publishing.counters
    return lambda: [
        counter("s1_windows_total", "Conflation windows closed.", counters.windows),
        counter(
            "s1_windows_merged_total",
            "Windows that closed while an earlier one was being written.",
            counters.windows_merged,
        ),
        counter(
            "s1_quotes_superseded_total",
            "Waiting quotes replaced by a newer one of their stream.",
            counters.superseded,
        ),
        counter(
            "s1_quotes_expired_total",
            "Waiting quotes dropped because they were no longer fresh.",
            counters.expired,
        ),
        gauge(
            "s1_quotes_waiting",
            "Quotes that wait for a node to come back.",
            publishing.report().pending,
        ),
    ]


def liveness_source(watching: Sequence[WatchLiveness]) -> MetricSource:
    """Instruments in each state, and what was done about silence."""
    return lambda: [sample for watch in watching for sample in _liveness(watch)]


def _liveness(watch: WatchLiveness) -> Iterator[Sample]:
    venue, counters = watch.venue.value, watch.counters
    states = Counter(watch.states().values())
    for state in (Liveness.LIVE, Liveness.QUIET, Liveness.STALE, Liveness.BLIND):
        yield gauge(
            "s1_instruments",
            "Instruments by liveness (mkt:status).",
            states[state],
            venue=venue,
            state=state.value,
        )
    yield counter(
        "s1_connections_blind_total",
        "Connections made anew because they were silent.",
        counters.blind_reconnects,
        venue=venue,
    )
    yield counter(
        "s1_streams_stale_total",
        "Streams found stale by a REST probe.",
        counters.stale_probes,
        venue=venue,
    )
    yield counter(
        "s1_status_changes_total",
        "Entries written to mkt:status.",
        counters.changes,
        venue=venue,
    )
    yield counter(
        "s1_status_overflowed_total",
        "Oldest mkt:status entries given up because the outbox was full.",
        counters.overflowed,
        venue=venue,
    )


def operations_source(operations: OperationsOutbox) -> MetricSource:
    """Operational events written, and given up."""
    counters = operations.counters
    return lambda: [
        counter("s1_ops_events_total", "Events written to ops:events.", counters.recorded),
        counter(
            "s1_ops_events_overflowed_total",
            "Oldest events given up because the outbox was full.",
            counters.dropped,
        ),
    ]


def board_source(board: QuoteBoard) -> MetricSource:
    """Readers of the quote event stream."""
    return lambda: [
        gauge("s1_sse_subscribers", "Readers of /xchg/quotes/stream.", board.subscribers),
        counter(
            "s1_sse_replaced_total",
            "Quotes replaced in a reader's mailbox before it took them.",
            board.replaced,
        ),
    ]


def access_source(access: ControlAccess) -> MetricSource:
    """Requests refused before their handler, by reason; left out before the first."""
    about = "HTTP requests refused for want of a token or a scope, or for asking too often."
    return lambda: [
        counter("s1_http_refused_total", about, count, reason=reason)
        for reason, count in access.refusals.items()
    ]


def treasury_source(ledger: TreasuryLedger, relayed: Callable[[], int]) -> MetricSource:
    """Transfers that are not over, the ledger's length, and what was relayed of it."""
    return lambda: [*_open_transfers(ledger), *_ledger(ledger, relayed())]


def _open_transfers(ledger: TreasuryLedger) -> Iterator[Sample]:
    open_transfers = ledger.open_transfers
    groups = {
        "waiting": open_transfers.queued,
        "unresolved": open_transfers.unresolved,
        "unverified": open_transfers.unverified,
        "absent": open_transfers.watched_failures,
        "disputed": open_transfers.disputed,
    }
    for place, transfers in groups.items():
        about = "Transfers that are not over, by what they wait for."
        yield gauge("s1_treasury_transfers", about, len(transfers), place=place)
    about = "Transfers that wait for an operator."
    yield gauge("s1_treasury_in_review", about, open_transfers.in_review)


def _ledger(ledger: TreasuryLedger, relayed: int) -> Iterator[Sample]:
    yield gauge(
        "s1_ledger_commits", "Commits in the treasury's ledger.", ledger.open_transfers.head.seq
    )
    yield gauge("s1_ledger_damaged", "1 while the ledger is damaged.", int(bool(ledger.damage)))
    about = "Ledger events written to ops:events, repeated ones included."
    yield counter("s1_ledger_relayed_total", about, relayed)
