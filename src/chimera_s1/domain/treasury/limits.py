"""What may be moved: directions, amounts, and how much a day."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import exact_text

ASSET = "USDT"


class Wallet(StrEnum):
    """Where money lies at the exchange."""

    SPOT = "SPOT"
    FUTURES = "FUTURES"


class Direction(StrEnum):
    """From which wallet to which."""

    SPOT_TO_FUTURES = "SPOT_TO_FUTURES"
    FUTURES_TO_SPOT = "FUTURES_TO_SPOT"

    @property
    def source(self) -> Wallet:
        """The wallet that gets less."""
        return Wallet.SPOT if self is Direction.SPOT_TO_FUTURES else Wallet.FUTURES

    @property
    def target(self) -> Wallet:
        """The wallet that gets more."""
        return Wallet.FUTURES if self is Direction.SPOT_TO_FUTURES else Wallet.SPOT


def direction_between(source: Wallet, target: Wallet) -> Direction:
    """The direction from *source* to *target*.

    Raises:
        InvalidValueError: They are the same wallet.
    """
    for direction in Direction:
        if (direction.source, direction.target) == (source, target):
            return direction
    raise InvalidValueError(f"from and to are both {source.value}; name two wallets")


class TransferLimits(Struct, frozen=True, kw_only=True):
    """The limits in force; they are written into each transfer they were applied to.

    Attributes:
        directions: Those that are allowed.

        min: Smallest amount, USDT.

        max: Largest amount, USDT.

        daily_cap: Most that may be accepted on one UTC day, both directions together, USDT.
    """

    directions: tuple[Direction, ...]
    min: Decimal
    max: Decimal
    daily_cap: Decimal


class LimitRule(StrEnum):
    """The rule that a transfer was refused by; the value is stable, for programs."""

    DIRECTION_NOT_ALLOWED = "direction_not_allowed"
    BELOW_MIN = "below_min"
    ABOVE_MAX = "above_max"
    OVER_DAILY_CAP = "over_daily_cap"


class LimitBreach(Struct, frozen=True):
    """A rule that stands against a transfer, with a sentence for people."""

    rule: LimitRule
    message: str


def find_breach(
    limits: TransferLimits, direction: Direction, amount: Decimal, cap_used: Decimal
) -> LimitBreach | None:
    """The first rule of *limits* that stands against moving *amount*; None where nothing does.

    Args:
        limits: In force now.

        direction: Of the transfer.

        amount: USDT.

        cap_used: What of the day's cap is taken, USDT.
    """
    if direction not in limits.directions:
        allowed = ", ".join(each.value for each in limits.directions) or "none"
        return LimitBreach(
            LimitRule.DIRECTION_NOT_ALLOWED,
            f"{direction.value} is not allowed here; allowed: {allowed}",
        )
    if amount < limits.min:
        return LimitBreach(
            LimitRule.BELOW_MIN,
            f"{exact_text(amount)} USDT is below the smallest amount, {exact_text(limits.min)}",
        )
    if amount > limits.max:
        return LimitBreach(
            LimitRule.ABOVE_MAX,
            f"{exact_text(amount)} USDT is above the largest amount, {exact_text(limits.max)}",
        )
    if cap_used + amount > limits.daily_cap:
        left = max(Decimal(0), limits.daily_cap - cap_used)
        return LimitBreach(
            LimitRule.OVER_DAILY_CAP,
            f"{exact_text(amount)} USDT is more than what is left of today's cap of "
            f"{exact_text(limits.daily_cap)}: {exact_text(left)}; the day ends at 00:00 UTC",
        )
    return None
