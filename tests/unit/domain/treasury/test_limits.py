"""Limits: the first broken rule, with its numbers in the message."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.treasury.limits import (
    Direction,
    LimitRule,
    TransferLimits,
    Wallet,
    direction_between,
    find_breach,
)

IN, OUT = Direction.SPOT_TO_FUT, Direction.FUT_TO_SPOT
LIMITS = TransferLimits(directions=(IN,), min=Decimal(1), max=Decimal(100), daily_cap=Decimal(250))

amounts = st.decimals("0.00000001", "1000", places=8)


def rule(amount: str, used: str = "0", direction: Direction = IN) -> LimitRule | None:
    found = find_breach(LIMITS, direction, Decimal(amount), Decimal(used))
    return found.rule if found is not None else None


@pytest.mark.parametrize(
    ("amount", "used", "expected"),
    [
        ("1", "0", None),
        ("100", "150", None),
        ("0.99999999", "0", LimitRule.BELOW_MIN),
        ("100.00000001", "0", LimitRule.ABOVE_MAX),
        ("100", "150.00000001", LimitRule.OVER_DAILY_CAP),
        ("0.5", "250", LimitRule.BELOW_MIN),
        ("101", "250", LimitRule.ABOVE_MAX),
    ],
)
def test_each_limit_is_exact_to_the_last_decimal(
    amount: str, used: str, expected: LimitRule | None
) -> None:
    assert rule(amount, used) is expected


def test_the_direction_rule_is_checked_first() -> None:
    assert rule("0.1", "900", OUT) is LimitRule.DIRECTION_NOT_ALLOWED


@pytest.mark.parametrize(
    ("limits", "direction", "amount", "used", "message"),
    [
        (LIMITS, OUT, 5, 0, "FUT_TO_SPOT is not allowed here; allowed: SPOT_TO_FUT"),
        (
            TransferLimits(directions=(), min=Decimal(1), max=Decimal(9), daily_cap=Decimal(9)),
            IN,
            5,
            0,
            "SPOT_TO_FUT is not allowed here; allowed: none",
        ),
        (LIMITS, IN, "0.50", 0, "0.5 USDT is below the smallest amount, 1"),
        (LIMITS, IN, "1E+3", 0, "1000 USDT is above the largest amount, 100"),
        (
            LIMITS,
            IN,
            50,
            "220.10",
            "50 USDT exceeds the remaining daily cap: 29.9 of 250 left; it resets at 00:00",
        ),
        (LIMITS, IN, 50, 400, "50 USDT exceeds the remaining daily cap: 0 of 250 left; it"),
    ],
)
def test_a_breach_message_contains_the_numbers(
    limits: TransferLimits, direction: Direction, amount: str | int, used: str | int, message: str
) -> None:
    """In plain decimals; the remaining cap is never negative."""
    found = find_breach(limits, direction, Decimal(amount), Decimal(used))

    assert found is not None
    assert found.message.startswith(message)


@given(st.lists(amounts, max_size=30))
def test_accepted_amounts_never_exceed_the_cap(wanted: list[Decimal]) -> None:
    used = Decimal(0)
    for amount in wanted:
        if find_breach(LIMITS, IN, amount, used) is None:
            used += amount

    assert used <= LIMITS.daily_cap


def test_a_cap_lowered_below_its_use_accepts_nothing() -> None:
    assert rule("1", "100000") is LimitRule.OVER_DAILY_CAP


@pytest.mark.parametrize("direction", Direction)
def test_a_direction_is_named_after_its_wallets(direction: Direction) -> None:
    assert direction_between(direction.source, direction.target) is direction
    assert direction.value == f"{direction.source.value}_TO_{direction.target.value}"


@pytest.mark.parametrize("wallet", Wallet)
def test_a_direction_needs_two_wallets(wallet: Wallet) -> None:
    with pytest.raises(InvalidValueError, match=f"both {wallet.value}"):
        direction_between(wallet, wallet)


def test_the_limit_rule_values_are_stable() -> None:
    assert [rule.value for rule in LimitRule] == [
        "direction_not_allowed",
        "below_min",
        "above_max",
        "over_daily_cap",
    ]
