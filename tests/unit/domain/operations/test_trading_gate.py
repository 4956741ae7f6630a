"""What kill switch and trading mode refuse, and that nothing else is asked."""

from itertools import product

import pytest

from chimera_s1.domain.operations.trading_gate import (
    KillSwitchOnError,
    ModeHaltedError,
    ModeManageOnlyError,
    ModeUnknownError,
    Spending,
    TradingConditions,
    refusal,
)
from chimera_s1.domain.operations.trading_mode import TradingMode


def conditions(
    *, kill_switch_on: bool = False, mode: TradingMode, mode_known: bool = True
) -> TradingConditions:
    return TradingConditions(kill_switch_on=kill_switch_on, mode=mode, mode_known=mode_known)


@pytest.mark.parametrize(
    ("spending", "mode", "refused"),
    [
        (Spending.TRANSFER, TradingMode.NORMAL, None),
        (Spending.TRANSFER, TradingMode.MANAGE_ONLY, None),
        (Spending.TRANSFER, TradingMode.HALTED, ModeHaltedError),
        (Spending.ENTRY, TradingMode.NORMAL, None),
        (Spending.ENTRY, TradingMode.MANAGE_ONLY, ModeManageOnlyError),
        (Spending.ENTRY, TradingMode.HALTED, ModeHaltedError),
    ],
)
def test_the_mode_decides_while_the_kill_switch_is_off(
    spending: Spending, mode: TradingMode, refused: type[Exception] | None
) -> None:
    found = refusal(spending, conditions(mode=mode))

    assert (type(found) if found else None) is refused


@pytest.mark.parametrize(("spending", "mode"), list(product(Spending, TradingMode)))
def test_the_kill_switch_refuses_all_spending_in_every_mode(
    spending: Spending, mode: TradingMode
) -> None:
    found = refusal(spending, conditions(kill_switch_on=True, mode=mode))

    assert isinstance(found, KillSwitchOnError)
    assert spending.value in str(found)


@pytest.mark.parametrize("spending", Spending)
def test_nothing_is_spent_until_the_mode_is_known(spending: Spending) -> None:
    found = refusal(spending, conditions(mode=TradingMode.HALTED, mode_known=False))

    assert isinstance(found, ModeUnknownError)
