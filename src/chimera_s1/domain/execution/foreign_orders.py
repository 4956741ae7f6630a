"""Orders of the account that are not ours: reported, never touched."""

from msgspec import Struct

from chimera_s1.domain.execution.client_ids import has_our_prefix
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport

OUR_LABEL = "s1"
OTHER_LABEL = "other"
_LABELS = {
    "s4-": "s4",
    "autoclose-": "liquidation",
    "adl_autoclose": "adl",
    "settlement_autoclose-": "settlement",
}
"""By prefix of the client id. Source: Binance, USD-M "Event Order Update", special client ids. That
S4 uses `s4-` is an assumption.
"""


class ForeignOrder(Struct, frozen=True, kw_only=True):
    """*label* says who probably placed it; `s1` if it has our prefix but the ledger lacks it."""

    report: OrderReport | OrderListReport
    label: str


def label_of(client_id: str) -> str:
    """A hint only: everybody can choose any client id."""
    if has_our_prefix(client_id):
        return OUR_LABEL
    labels = (label for prefix, label in _LABELS.items() if client_id.startswith(prefix))
    return next(labels, OTHER_LABEL)


def foreign_order(report: OrderReport | OrderListReport) -> ForeignOrder:
    return ForeignOrder(report=report, label=label_of(report.client_id))
