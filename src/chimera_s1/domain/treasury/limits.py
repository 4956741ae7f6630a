"""Transfer limits: directions, amounts and the daily cap."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import exact_text

ASSET = "USDT"
OLD_FUT_NAME = "FUTURES"
"""The name of wallet FUT in earlier versions: still read, and hashed in fingerprints."""


class Wallet(StrEnum):
    """A wallet of the account at the exchange: `SPOT`, or `FUT` for USD-M futures."""

    SPOT = "SPOT"
    FUT = "FUT"

    @classmethod
    def _missing_(cls, value: object) -> "Wallet | None":
        """Earlier versions called it `FUTURES`, and so do their ledgers, files and clients."""
        return cls.FUT if value == OLD_FUT_NAME else None


class Direction(StrEnum):
    """From one wallet to the other; `S1_TREASURY_DIRECTIONS` says which are allowed."""

    SPOT_TO_FUT = "SPOT_TO_FUT"
    FUT_TO_SPOT = "FUT_TO_SPOT"

    @classmethod
    def _missing_(cls, value: object) -> "Direction | None":
        """`SPOT_TO_FUTURES` and `FUTURES_TO_SPOT` of earlier versions."""
        old_names = {each.value.replace(Wallet.FUT, OLD_FUT_NAME): each for each in cls}
        return old_names.get(value) if isinstance(value, str) else None

    @property
    def source(self) -> Wallet:
        return Wallet.SPOT if self is Direction.SPOT_TO_FUT else Wallet.FUT

    @property
    def target(self) -> Wallet:
        return Wallet.FUT if self is Direction.SPOT_TO_FUT else Wallet.SPOT


def direction_between(source: Wallet, target: Wallet) -> Direction:
    """The direction from *source* to *target*; raises InvalidValueError if they are the same."""
    for direction in Direction:
        if (direction.source, direction.target) == (source, target):
            return direction
    raise InvalidValueError(f"from and to are both {source.value}; name two wallets")


class TransferLimits(Struct, frozen=True, kw_only=True):
    """Limits in USDT; *daily_cap* covers one UTC day, both directions together."""

    directions: tuple[Direction, ...]
    min: Decimal
    max: Decimal
    daily_cap: Decimal


class LimitRule(StrEnum):
    """The rule that refused a transfer; the values are a stable API."""

    DIRECTION_NOT_ALLOWED = "direction_not_allowed"
    BELOW_MIN = "below_min"
    ABOVE_MAX = "above_max"
    OVER_DAILY_CAP = "over_daily_cap"


class LimitBreach(Struct, frozen=True):
    rule: LimitRule
    message: str


def find_breach(
    limits: TransferLimits, direction: Direction, amount: Decimal, cap_used: Decimal
) -> LimitBreach | None:
    """The first broken limit, or None; *cap_used* is what is reserved and settled on the day."""
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
            f"{exact_text(amount)} USDT exceeds the remaining daily cap: {exact_text(left)} of "
            f"{exact_text(limits.daily_cap)} left; it resets at 00:00 UTC",
        )
    return None
