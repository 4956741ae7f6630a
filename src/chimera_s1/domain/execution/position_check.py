"""Compare positions with the fills of the ledger, to find fills that were not seen.

The known quantity of a position is the sum of the ledger's fills, moved to the exchange's quantity
when the position was seen first. A read may be older than the last fills (queries lag), so it also
agrees if it lacks some of the newest ones.
"""

from collections.abc import Collection, Iterable, Mapping
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


def possible_offsets(
    mismatch: Mismatch, known_now: Decimal, fills: Iterable[FillReport], read_from_ms: int
) -> frozenset[Decimal]:
    """By how much *found* may differ from the ledger: it is what *known_now* was before some of the
    newest of *fills*, and one of these. 0 among them: nothing is proven to be wrong.

    *known_now* includes *fills*, the recorded trades.
    """
    recent = sorted(
        (fill for fill in fills if _may_be_newer(mismatch.key, fill, read_from_ms)),
        key=_trade_order,
    )
    quantity = known_now
    offsets = {mismatch.found - quantity}
    for fill in reversed(recent):
        quantity -= signed_qty(fill)
        offsets.add(mismatch.found - quantity)
    return frozenset(offsets)


class OffsetWatch:
    """Finds offsets that stay: a read that lags explains one for a moment only."""

    def __init__(self) -> None:
        self._seen: dict[PositionKey, tuple[frozenset[Decimal], float]] = {}

    def keep(self, keys: Collection[PositionKey]) -> None:
        """Forget the positions that agree now."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in keys}

    def forget(self, key: PositionKey) -> None:
        self._seen.pop(key, None)

    def settled(
        self, key: PositionKey, offsets: frozenset[Decimal], at_ms: float
    ) -> Decimal | None:
        """The only offset that every look has allowed since `QUERY_LAG_MS` ago; None: look again.

        *at_ms* is monotonic.
        """
        before, since_ms = self._seen.get(key, (offsets, at_ms))
        common = before & offsets
        if not common:
            common, since_ms = offsets, at_ms
        self._seen[key] = common, since_ms
        if len(common) > 1 or at_ms - since_ms < QUERY_LAG_MS:
            return None
        return next(iter(common))


def _may_be_newer(key: PositionKey, fill: FillReport, read_from_ms: int) -> bool:
    return key_of(fill) == key and fill.at_ms > read_from_ms - QUERY_LAG_MS


def _trade_order(fill: FillReport) -> tuple[int, int, str]:
    """Trade ids are numbers, and grow, on Binance; elsewhere the text decides."""
    number = int(fill.trade_id) if fill.trade_id.isdecimal() else 0
    return fill.at_ms, number, fill.trade_id


def position_difference(mismatch: Mismatch, offset: Decimal) -> Difference:
    key = mismatch.key
    side = "" if key.side == ONE_WAY_SIDE else f" {key.side}"
    known = mismatch.found - offset
    return Difference(
        kind=DifferenceKind.POSITION_UNEXPLAINED,
        venue=Venue.PERP,
        subject=f"{key.symbol}{side}",
        text=f"the position {key.symbol}{side} is {mismatch.found.normalize():f}; the known fills "
        f"give {known.normalize():f}, and the trade history has no others: look at the position's "
        "history at the exchange; its quantity is used as it is from now on",
    )
