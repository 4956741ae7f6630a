"""Which settlement a row of income belongs to."""

from decimal import Decimal

from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.match_income import match_income, parts_of
from chimera_s1.domain.funding.record import IncomePart
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, SettlementKey
from chimera_s1.domain.identifiers import Symbol

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
HOUR = 3_600_000
AT = 1_796_000_400_000


def row(
    time: int, *, symbol: Symbol = BTC, rate_type: str = REGULAR, tran_id: int = 1
) -> IncomeRow:
    return IncomeRow(symbol, rate_type, time, IncomePart(tran_id, "USDT", Decimal(-1)))


def key(time: int, symbol: Symbol = BTC, rate_type: str = REGULAR) -> SettlementKey:
    return SettlementKey(time, symbol, rate_type)


def test_a_row_belongs_to_the_nearest_settlement_of_its_contract_and_type() -> None:
    """Its time is some ms off, before or after."""
    keys = [key(AT), key(AT + HOUR + 18), key(AT, ETH), key(AT, BTC, SPECIAL)]
    rows = [
        row(AT - 4),
        row(AT + HOUR, tran_id=2),
        row(AT + 9, symbol=ETH),
        row(AT + 9, rate_type=SPECIAL),
    ]
    matched = match_income(rows, keys)

    assert {each: [part.tran_id for part in parts] for each, parts in matched.parts.items()} == {
        keys[0]: [1],
        keys[1]: [2],
        keys[2]: [1],
        keys[3]: [1],
    }
    assert not matched.unmatched


def test_a_row_without_a_settlement_within_half_an_hour_waits() -> None:
    """Contract, type or time is of no settlement that is stored."""
    rows = [
        row(AT + HOUR // 2),
        row(AT - HOUR // 2),
        row(AT, symbol=ETH),
        row(AT, rate_type="COMMISSION"),
    ]
    matched = match_income(rows, [key(AT)])

    assert not matched.parts
    assert matched.unmatched == (rows[1], rows[3], rows[2], rows[0])


def test_the_edge_of_the_reach_is_exact() -> None:
    assert match_income([row(AT + HOUR // 2 - 1)], [key(AT)]).parts
    assert match_income([row(AT - HOUR // 2 + 1)], [key(AT)]).parts


def test_of_two_settlements_that_are_as_near_the_earlier_one_has_the_row() -> None:
    matched = match_income([row(AT + 10)], [key(AT + 20), key(AT)])

    assert list(matched.parts) == [key(AT)]


def test_a_repeated_row_counts_once_unless_it_has_no_number() -> None:
    """TRANSFER rows and others may have number 0."""
    numbered, other_asset = (IncomePart(7, asset, Decimal(1)) for asset in ("USDT", "BNB"))
    other_amount = IncomePart(7, "USDT", Decimal(2))
    unnumbered = IncomePart(0, "USDT", Decimal(1))

    assert parts_of([numbered, unnumbered, other_amount, other_asset, numbered, unnumbered]) == (
        unnumbered,
        unnumbered,
        other_asset,
        numbered,
        other_amount,
    )
