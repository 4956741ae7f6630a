"""The gate that everything that spends passes: kill switch and trading mode.

Only spending is ever refused here. Stops, reduce-only closes, cancels, reconciliation and resolving
a transfer do not ask: no kill switch and no mode may block them.
"""

from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.trading_mode import TradingMode


class Spending(StrEnum):
    """What a use case spends: it moves money between wallets, or opens or enlarges a position."""

    TRANSFER = "transfer"
    ENTRY = "entry"


class KillSwitchOnError(ChimeraError):
    """The kill switch is on, or was never read."""

    code = "kill_switch"


class ModeHaltedError(ChimeraError):
    """The trading mode is HALTED: no transfer and no new entry."""

    code = "mode_halted"


class ModeManageOnlyError(ChimeraError):
    """The trading mode is MANAGE_ONLY: no new entry."""

    code = "mode_manage_only"


class ModeUnknownError(ChimeraError):
    """Whether trading is halted has not been read from the store yet."""

    code = "mode_unknown"


class TradingConditions(Struct, frozen=True, kw_only=True):
    """Attributes:
    kill_switch_on: Its last value; True before the first read.
    mode_known: Whether a halt would be known; until then the mode is HALTED.
    """

    kill_switch_on: bool
    mode: TradingMode
    mode_known: bool


def refusal(spending: Spending, now: TradingConditions) -> ChimeraError | None:
    """Why *spending* is refused now; None if it is allowed."""
    if now.kill_switch_on:
        return KillSwitchOnError(
            f"the kill switch is on; no {spending} is accepted until it is off"
        )
    if not now.mode_known:
        return ModeUnknownError(
            f"the store was not read yet, so trading may be halted; no {spending} is accepted "
            "until it is"
        )
    match now.mode:
        case TradingMode.HALTED:
            return ModeHaltedError(
                f"trading is HALTED; no {spending} is accepted until it is resumed"
            )
        case TradingMode.MANAGE_ONLY:
            return _in_manage_only(spending)
        case TradingMode.NORMAL:
            return None
        case _:
            assert_never(now.mode)


def _in_manage_only(spending: Spending) -> ChimeraError | None:
    match spending:
        case Spending.ENTRY:
            return ModeManageOnlyError(
                "the mode is MANAGE_ONLY; positions are managed, no entry is accepted"
            )
        case Spending.TRANSFER:
            return None
        case _:
            assert_never(spending)
