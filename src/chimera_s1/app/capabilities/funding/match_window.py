"""Find what the income of a window says of each stored settlement."""

from msgspec import Struct

from chimera_s1.app.capabilities.funding.read_income import IncomeWindow
from chimera_s1.app.capabilities.funding.record_pages import RecordPages
from chimera_s1.app.capabilities.funding.write_amounts import FoundParts
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.match_income import REACH_MS, match_income
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.ports.funding_store import FundingStore


class MatchedWindow(Struct, frozen=True):
    """Attributes:
    found: All rows of each settlement of the window that has some, or an amount.
    unmatched: Rows of the window without a settlement, ascending by time.
    """

    found: FoundParts
    unmatched: tuple[IncomeRow, ...]


async def match_window(store: FundingStore, window: IncomeWindow) -> MatchedWindow:
    """Without the contracts that have a row that cannot be read: a sum would lack it."""
    keys, with_amount = await _stored(store, window)
    matched = match_income(window.rows, keys)
    found = {
        key: matched.parts.get(key, ())
        for key in {*matched.parts, *with_amount}
        if window.start <= key.funding_time <= window.end
        and key.symbol not in (window.unusable_of or ())
    }
    # Other windows have the rows of the reach.
    inside = (row for row in matched.unmatched if window.start <= row.time <= window.end)
    return MatchedWindow(found, tuple(inside))


async def _stored(
    store: FundingStore, window: IncomeWindow
) -> tuple[list[SettlementKey], list[SettlementKey]]:
    """The settlements that a row may belong to, and those that have an amount."""
    contracts = {(row.symbol, row.rate_type) for row in window.rows}
    keys: list[SettlementKey] = []
    with_amount: list[SettlementKey] = []
    reach = Window(window.start - 2 * REACH_MS, window.end + 2 * REACH_MS)
    async for records in RecordPages(store, reach):
        keys += [each.key for each in records if (each.key.symbol, each.key.rate_type) in contracts]
        with_amount += [each.key for each in records if each.amount is not None]
    return keys, with_amount
