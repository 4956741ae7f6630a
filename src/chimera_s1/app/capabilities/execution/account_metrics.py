"""Metrics of the account's reconciliation and picture."""

from collections.abc import Iterator

from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.reconcile_account import ReconcileAccount
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.ports.exchange_account import ExchangeAccount


def account_source(
    reconcile: ReconcileAccount, picture: AccountPicture, account: ExchangeAccount
) -> MetricSource:
    """Rounds, what they found, and the account's open orders."""
    return lambda: [*_rounds(reconcile), *_account(picture, account)]


def _rounds(reconcile: ReconcileAccount) -> Iterator[Sample]:
    about = "Comparisons of the account with the ledger, all venues together."
    yield counter("s1_reconciliations_total", about, reconcile.rounds)
    about = "Venues that a comparison could not read or record completely."
    yield counter("s1_reconciliation_failures_total", about, reconcile.failed)
    about = "Orders of ours that a comparison brought up to date."
    yield counter("s1_reconciliation_repaired_total", about, reconcile.repaired)
    about = "Trades that no private stream had said, and a comparison found."
    yield counter("s1_reconciliation_missed_fills_total", about, reconcile.missed_fills)
    left = 0 if reconcile.last is None else len(reconcile.last.differences)
    about = "Differences that the last comparison could not repair."
    yield gauge("s1_reconciliation_differences", about, left)
    age_s = reconcile.report().age_ms / 1000
    about = "Seconds since the last complete comparison, or since the start."
    yield gauge("s1_reconciliation_age_seconds", about, round(age_s, 3))


def _account(picture: AccountPicture, account: ExchangeAccount) -> Iterator[Sample]:
    rows = picture.open_orders()
    for owner, ours in (("ours", True), ("foreign", False)):
        number = sum(row.ours is ours for row in rows)
        yield gauge("s1_account_open_orders", "Open orders of the account.", number, owner=owner)
    about = "Open orders that found no room in the picture of the account."
    yield counter("s1_account_orders_dropped_total", about, picture.dropped)
    about = "Rows of the account that could not be read."
    yield counter("s1_account_unreadable_rows_total", about, account.unreadable_rows)
