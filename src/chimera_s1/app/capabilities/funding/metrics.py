"""Metrics of the funding history."""

from collections.abc import Callable, Iterable
from typing import Final

from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.relay_records import RelayRecords
from chimera_s1.app.capabilities.funding.review_history import ReviewHistory
from chimera_s1.app.capabilities.funding.settle_funding import SettleFunding
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge

SETTLEMENT_DELAY: Final = "s1_funding_settlement_delay_seconds"
SETTLEMENT_DELAY_HELP: Final = (
    "From a settlement to its rate in the store, by the exchange's clock."
)
SETTLEMENT_DELAY_BOUNDS_MS: Final = (
    2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 300_000, 900_000, 3_600_000,
)  # fmt: skip


def history_source(
    history: CompleteHistory,
    settle: SettleFunding,
    announced: RelayRecords,
    relay: RelayLog,
    review: ReviewHistory,
    *,
    passed_over: Callable[[], int],
) -> MetricSource:
    """*passed_over* counts the rows that are about no contract of this venue."""
    return lambda: [
        *_reads(history),
        counter(
            "s1_funding_history_rows_passed_over_total",
            "Rows of rates and income about COIN-M contracts, which are not stored.",
            passed_over(),
        ),
        *_settlements(settle),
        counter(
            "s1_funding_events_relayed_total",
            "Realised funding written to mkt:events:funding by this instance, with repeats.",
            relay.relayed,
        ),
        counter(
            "s1_funding_announcements_forgotten_total",
            "Relayed records of days ago that this instance has removed from the log of those.",
            announced.forgotten,
        ),
        *_stored(review),
    ]


def _reads(history: CompleteHistory) -> Iterable[Sample]:
    for kind, number in history.written.items():
        yield counter(
            "s1_funding_records_written_total",
            "Versions of funding records that this instance has written, by what became known.",
            number,
            kind=kind,
        )
    for job, number in history.requests.items():
        yield counter(
            "s1_funding_requests_total",
            "Requests of this instance for funding rates and amounts, by job.",
            number,
            job=job,
        )


def _settlements(settle: SettleFunding) -> Iterable[Sample]:
    yield gauge(
        "s1_funding_settlements_waiting",
        "Settlements that have happened, and whose rates are not stored yet.",
        settle.waiting,
    )
    yield counter(
        "s1_funding_settlements_late_total",
        "Settlements whose rates were not published within an hour.",
        settle.given_up,
    )


def _stored(review: ReviewHistory) -> Iterable[Sample]:
    report, reviewed = review.report(), review.reviewed
    yield gauge(
        "s1_funding_verified_age_seconds",
        "How far the proven funding history trails the exchange's time; 0 before the first read.",
        (report.behind_ms or 0) / 1000,
    )
    yield gauge(
        "s1_funding_gaps",
        "Gaps that the last search of this instance found; it follows funding.complete.",
        report.gaps or 0,
    )
    yield gauge("s1_funding_disputes", "Stored funding that the exchange changed.", report.disputes)
    yield gauge(
        "s1_funding_announcements_waiting",
        "Stored records that are not on their streams yet, 500 at most.",
        reviewed.announced,
    )
