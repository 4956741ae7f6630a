"""What the S10 stand-in serves: a document, and its revisions."""

from collections.abc import Iterable
from typing import Any

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.domain.identifiers import Venue

Document = dict[str, Any]

INSTRUMENTS_AT_START = 10
"""A few of each venue; the others have the defaults."""

_DEFAULTS = {"spread_bp_limit": 10, "depth_top1_usdt_min": 5_000}
_THRESHOLDS = {"spread_bp_limit": 5, "depth_top1_usdt_min": 20_000}


def first_rows(specs: Iterable[SymbolSpec]) -> list[Document]:
    """Thresholds for the first symbols of each venue that trade in USDT."""
    trading = (spec for spec in specs if spec.is_trading and spec.quote == "USDT")
    ordinary = [spec for spec in trading if spec.contract_type == "PERPETUAL"]
    return [
        {"venue": venue.value, "symbol": spec.symbol, **_THRESHOLDS}
        for venue in Venue
        for spec in [each for each in ordinary if each.venue is venue][:INSTRUMENTS_AT_START]
    ]


class PublishedConfiguration:
    """The document in force at S10; its values are not checked, so that it can be wrong."""

    def __init__(self, rows: list[Document]) -> None:
        self._newest_rev = 1
        self.document: Document = {"rev": 1, "instruments": rows, "defaults": _DEFAULTS}
        self.requests = 0
        """How often it was served."""

    def publish(self, changes: Document, rev: int | None = None) -> Document:
        """Replace the fields in *changes*; without *rev* the next revision."""
        rev = self._newest_rev + 1 if rev is None else rev
        self._newest_rev = max(self._newest_rev, rev)
        self.document = {**self.document, **changes, "rev": rev}
        return self.document
