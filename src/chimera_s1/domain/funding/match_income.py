"""Which settlement each row of an account's income belongs to.

A row names contract and type; its time is some ms away from that of the settlement.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.record import IncomePart
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol

REACH_MS: Final = 30 * 60_000
"""Half of the shortest interval: a row further away belongs to no settlement."""


class MatchedIncome(Struct, frozen=True):
    """Attributes:
    parts: Of each settlement that has rows, in the order of `parts_of`.
    unmatched: Rows without a settlement, ascending by time.
    """

    parts: Mapping[SettlementKey, tuple[IncomePart, ...]]
    unmatched: tuple[IncomeRow, ...]


def match_income(rows: Iterable[IncomeRow], keys: Iterable[SettlementKey]) -> MatchedIncome:
    """*keys* are all settlements within twice `REACH_MS` of the rows."""
    times: dict[tuple[Symbol, str], list[int]] = {}
    for key in sorted(keys):
        times.setdefault((key.symbol, key.rate_type), []).append(key.funding_time)
    matched: dict[SettlementKey, list[IncomePart]] = {}
    unmatched: list[IncomeRow] = []
    for row in rows:
        time = _nearest(times.get((row.symbol, row.rate_type), ()), row.time)
        if time is None:
            unmatched.append(row)
        else:
            key = SettlementKey(time, row.symbol, row.rate_type)
            matched.setdefault(key, []).append(row.part)
    unmatched.sort(key=lambda row: (row.time, row.symbol))
    return MatchedIncome({key: parts_of(found) for key, found in matched.items()}, tuple(unmatched))


def parts_of(found: Iterable[IncomePart]) -> tuple[IncomePart, ...]:
    """Each row once, ordered by number, asset and amount.

    A row that is repeated has the same number. Rows with number 0 have none: each counts.
    """
    once: list[IncomePart] = []
    for part in sorted(found, key=lambda part: (part.tran_id, part.asset, part.amount)):
        if not part.tran_id or not once or part != once[-1]:
            once.append(part)
    return tuple(once)


def _nearest(times: Sequence[int], time: int) -> int | None:
    """Of ascending *times*; the earlier one of two that are as near."""
    at = bisect_left(times, time)
    near = min(times[max(0, at - 1) : at + 1], key=lambda each: abs(each - time), default=None)
    return near if near is not None and abs(near - time) < REACH_MS else None
