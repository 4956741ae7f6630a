"""Metrics of the treasury."""

from collections.abc import Callable, Iterator

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge


def treasury_source(ledger: TreasuryLedger, relayed: Callable[[], int]) -> MetricSource:
    """Open transfers, commits in the ledger, and events relayed."""
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
        about = "Open transfers, by what they wait for."
        yield gauge("s1_treasury_transfers", about, len(transfers), place=place)
    about = "Transfers that wait for an operator."
    yield gauge("s1_treasury_in_review", about, open_transfers.in_review)


def _ledger(ledger: TreasuryLedger, relayed: int) -> Iterator[Sample]:
    yield gauge("s1_ledger_commits", "Commits in the treasury's ledger.", ledger.engine.head.seq)
    yield gauge("s1_ledger_damaged", "1 while the ledger is damaged.", int(bool(ledger.damage)))
    about = "Ledger events written to ops:events, repeated ones included."
    yield counter("s1_ledger_relayed_total", about, relayed)
