"""Compare positions with the fills of the ledger, to find fills that were not seen.

The known quantity of a position is the sum of the ledger's fills, moved to the exchange's quantity
when the position was seen first. A read may be older than the last fills (queries lag), so it also
agrees if it lacks some of the newest ones.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.reconciliation import Difference, DifferenceKind
from chimera_s1.domain.execution.reports import FillReport, PositionReport
from chimera_s1.domain.identifiers import Symbol, Venue

ONE_WAY_SIDE = "BOTH"
_ZERO = Decimal(0)


class PositionKey(NamedTuple):
    symbol: Symbol
    side: str
    """BOTH in one-way mode, else LONG or SHORT."""


class KnownPosition(Struct, frozen=True):
    """Attributes:
    qty: Sum of the ledger's fills and adoptions; negative if short.
    adoptions: So often was the exchange's quantity adopted; 0: the start is not known yet.
    """

    qty: Decimal = _ZERO
    adoptions: int = 0


class Mismatch(Struct, frozen=True):
    key: PositionKey
    known: KnownPosition
    found: Decimal

    @property
    def is_first_sight(self) -> bool:
        """What the position was before the ledger's first fill is not known."""
        return self.known.adoptions == 0

    @property
    def unexplained(self) -> Decimal:
        return self.found - self.known.qty


def key_of(report: PositionReport | FillReport) -> PositionKey:
    return PositionKey(report.symbol, report.position_side or ONE_WAY_SIDE)


def signed_qty(fill: FillReport) -> Decimal:
    """Negative for a sale: a short position is negative in both position modes."""
    return fill.qty if fill.side == "BUY" else -fill.qty


def mismatches(
    known: Mapping[PositionKey, KnownPosition], read: Iterable[PositionReport]
) -> tuple[Mismatch, ...]:
    """*read* is complete: a position that it lacks is 0."""
    found = {key_of(report): report.qty for report in read}
    pairs = (
        Mismatch(key, known.get(key, KnownPosition()), found.get(key, _ZERO))
        for key in dict.fromkeys((*known, *found))
    )
    return tuple(pair for pair in pairs if pair.unexplained)


def is_explained(
    mismatch: Mismatch, known_now: Decimal, fills: Iterable[FillReport], read_from_ms: int
) -> bool:
    """Whether *found* is what *known_now* was before some of the newest of *fills*.

    *fills* are the trades of the symbol, read after the position; *known_now* includes them.
    """
    recent = sorted(
        (fill for fill in fills if _may_be_newer(mismatch.key, fill, read_from_ms)),
        key=_trade_order,
    )
    quantity = known_now
    if quantity == mismatch.found:
        return True
    for fill in reversed(recent):
        quantity -= signed_qty(fill)
        if quantity == mismatch.found:
            return True
    return False


def _may_be_newer(key: PositionKey, fill: FillReport, read_from_ms: int) -> bool:
    return key_of(fill) == key and fill.at_ms > read_from_ms - QUERY_LAG_MS


def _trade_order(fill: FillReport) -> tuple[int, int, str]:
    """Trade ids are numbers, and grow, on Binance; elsewhere the text decides."""
    number = int(fill.trade_id) if fill.trade_id.isdecimal() else 0
    return fill.at_ms, number, fill.trade_id


def position_difference(mismatch: Mismatch) -> Difference:
    key = mismatch.key
    side = "" if key.side == ONE_WAY_SIDE else f" {key.side}"
    return Difference(
        kind=DifferenceKind.POSITION,
        venue=Venue.PERP,
        subject=key.symbol,
        text=f"the position {key.symbol}{side} is {mismatch.found.normalize():f}; the known fills "
        f"give {mismatch.known.qty.normalize():f}, and the trade history has no others: look at "
        "the position's history at the exchange; its quantity is used as it is from now on",
    )
