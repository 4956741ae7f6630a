"""Bodies of the control plane's requests about funding."""

from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from chimera_s1.adapters.simulator.control.listing_requests import Asset, EpochMs, SymbolText
from chimera_s1.adapters.simulator.funding.positions import Side
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.settlements import REGULAR

Lag = Annotated[int, Meta(ge=0, le=86_400_000)]
RateType = Annotated[str, Meta(pattern="^[A-Za-z]{1,32}$")]
_DECIMALS, _DIGITS_MAX = 8, 24
_RATE_MAX = Decimal(1)
_AMOUNT_MAX = Decimal(10) ** 9

FUNDING_HELP = (
    "lag_ms: shortest and longest, like [2000, 8000], up to 86400000; coin_margined: true or false"
)
SPECIAL_HELP = 'symbol: like "BTCUSDT"; rate: like "-0.0012"; time_ms: epoch ms, by default now'
ROW_HELP = (
    'symbol: like "BTCUSDT"; time_ms: epoch ms within the hour after the settlement; '
    "rate_type: Regular or Special"
)
CHANGE_HELP = (
    f'{ROW_HELP}; rate: like "-0.0012"; mark_price: like "67000.1", or "" for none; late_ms: its '
    "time after the full hour, 0 to 3599999"
)
POSITION_HELP = (
    'symbol: like "BTCUSDT"; amount: of the base asset, like "-0.5", or long and short, each from '
    '"0"; asset: what funding is paid in, by default the quote asset; since_ms: epoch ms, by '
    "default now"
)


class FundingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/funding`; a missing field changes nothing.

    Attributes:
        lag_ms: Shortest and longest time from a settlement to its row, exchange time.
        coin_margined: Reads without a symbol have rows of COIN-M contracts.
    """

    lag_ms: tuple[Lag, Lag] | UnsetType = UNSET
    coin_margined: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.lag_ms is not UNSET and self.lag_ms[0] > self.lag_ms[1]:
            raise ValueError("lag_ms: the shortest comes first, like [2000, 8000]")


class SpecialRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/funding/specials`."""

    symbol: SymbolText
    rate: Decimal
    time_ms: EpochMs | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate)


class WithheldRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/funding/withheld`; by default the next settlement."""

    symbol: SymbolText
    time_ms: EpochMs | None = None
    rate_type: RateType = REGULAR


class ChangeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/funding/changes`: what a row says from now on.

    Attributes:
        late_ms: Its time after the full hour.
    """

    symbol: SymbolText
    time_ms: EpochMs
    rate_type: RateType = REGULAR
    rate: Decimal | UnsetType = UNSET
    mark_price: str | UnsetType = UNSET
    late_ms: Annotated[int, Meta(ge=0, lt=HOUR_MS)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if all(each is UNSET for each in (self.rate, self.mark_price, self.late_ms)):
            raise ValueError("nothing to change; write a rate, a mark_price or late_ms")
        if self.rate is not UNSET:
            check_rate(self.rate)
        if self.mark_price not in (UNSET, "") and not _is_price(str(self.mark_price)):
            raise ValueError(
                f'mark_price: {self.mark_price!r} is not a price; write one like "67000.1", or ""'
            )


class PositionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/funding/positions`: one-way mode has *amount*, hedge mode the others."""

    symbol: SymbolText
    amount: Decimal | None = None
    long: Decimal | None = None
    short: Decimal | None = None
    asset: Asset | None = None
    since_ms: EpochMs | None = None

    def __post_init__(self) -> None:
        hedged = (self.long, self.short) != (None, None)
        if hedged == (self.amount is not None):
            raise ValueError("write either amount, or long and short")
        for name in ("amount", "long", "short"):
            _check_amount(name, getattr(self, name))

    @property
    def amounts(self) -> dict[Side, Decimal]:
        """Negative if short."""
        if self.amount is not None:
            return {Side.BOTH: self.amount}
        return {Side.LONG: self.long or Decimal(0), Side.SHORT: -(self.short or Decimal(0))}


def check_rate(rate: Decimal) -> None:
    """Raises ValueError unless a row can say it."""
    if not rate.is_finite() or abs(rate) > _RATE_MAX or rate != round(rate, _DECIMALS):
        raise ValueError(f"rate: {rate} is not a rate; write -1 to 1, at most 8 decimals")


def _check_amount(name: str, amount: Decimal | None) -> None:
    if amount is None:
        return
    lowest = -_AMOUNT_MAX if name == "amount" else Decimal(0)
    if not amount.is_finite() or not lowest <= amount <= _AMOUNT_MAX:
        raise ValueError(f"{name}: {amount} is not an amount; write {lowest:f} to {_AMOUNT_MAX:f}")


def _is_price(text: str) -> bool:
    whole, _, decimals = text.partition(".")
    digits = whole + decimals
    return (
        digits.isascii() and digits.isdigit() and 0 < len(digits) <= _DIGITS_MAX and int(digits) > 0
    )
