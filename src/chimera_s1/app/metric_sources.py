"""
What the use cases count, under the names it has on the Prometheus page.
"""

from chimera_s1.adapters.telemetry.metrics import MetricSource, counter, gauge
from chimera_s1.app.use_cases.log_operations import LogOperations
from chimera_s1.app.use_cases.publish_quotes import PublishQuotes
from chimera_s1.app.use_cases.quote_board import QuoteBoard


def publishing_source(publishing: PublishQuotes) -> MetricSource:
    """
    Windows and the quotes that waited for the store.
    """
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
            publishing.report().waiting,
        ),
    ]


def operations_source(operations: LogOperations) -> MetricSource:
    """
    Operational events written, and given up.
    """
    counters = operations.counters
    return lambda: [
        counter("s1_ops_events_total", "Events written to ops:events.", counters.recorded),
        counter(
            "s1_ops_events_overflowed_total",
            "Oldest events given up because the outbox was full.",
            counters.overflowed,
        ),
    ]


def board_source(board: QuoteBoard) -> MetricSource:
    """
    Readers of the quote event stream.
    """
    return lambda: [
        gauge("s1_sse_subscribers", "Readers of /xchg/quotes/stream.", board.subscribers),
        counter(
            "s1_sse_replaced_total",
            "Quotes replaced in a reader's mailbox before it took them.",
            board.replaced,
        ),
    ]
