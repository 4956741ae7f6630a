"""Bodies of the control plane's requests that list, change and delist symbols."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from chimera_s1.adapters.simulator.market.order_books import BOOK_LEVELS
from chimera_s1.adapters.simulator.market.symbols import (
    PERPETUAL_DELIVERY_MS,
    SymbolSpec,
    build_coin_margined,
    build_symbol,
)
from chimera_s1.adapters.simulator.market.trading_hours import UNDERLYING_TYPES
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

Word = Annotated[str, Meta(pattern="^[A-Z0-9_]{1,32}$")]
Asset = Annotated[str, Meta(pattern="^[A-Z0-9]{1,16}$")]
SymbolText = Annotated[str, Meta(pattern=r"^[^\s/@!a-z\"\\]{1,40}$")]
EpochMs = Annotated[int, Meta(ge=0, le=10**14)]
FundingHours = Literal[1, 2, 4, 8]
Leverage = Annotated[int, Meta(ge=1, le=200)]
Filters = tuple[dict[str, object], ...]

_PLAIN_CHANGES = ("status", "delivery_ms", "max_leverage", "funding_hours", "extra_filters")
_PRICE_TICKS_MIN = 2 * BOOK_LEVELS
"""Below, bids would reach zero."""

LISTING_HELP = (
    'venue: spot or perp; symbol: like "NEWUSDT"; quote: its quote asset; coin_margined: true for '
    "a COIN-M perpetual; status, contract_type, underlying_type: as in exchangeInfo; "
    "underlying_subtypes: array of text; onboard_ms, delivery_ms: epoch ms; max_leverage: 1 to "
    '200; funding_hours: 1, 2, 4 or 8; min_notional: like "5"; extra_filters: array of objects; '
    "announce: true or false"
)
SYMBOL_HELP = (
    "status: TRADING, BREAK, ... as in exchangeInfo, or null to delist; delivery_ms: epoch ms; "
    'tick_size, min_notional: like "0.01"; max_leverage: 1 to 200; funding_hours: 1, 2, 4 or 8; '
    "extra_filters: array of objects; announce: true or false"
)


HOURS_HELP = (
    f"underlying_type: one of {', '.join(UNDERLYING_TYPES)}; session: REGULAR, NO_TRADING, ... or "
    "null for its usual hours"
)


class HoursRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/trading-hours`: one session without end, or null for the usual hours."""

    underlying_type: Literal["EQUITY", "COMMODITY", "KR_EQUITY", "HK_EQUITY", "CN_EQUITY", "FX"]
    session: Word | None


class ListingRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /sim/listings`.

    Attributes:
        onboard_ms: None means now, exchange time.
        announce: Send it to `!contractInfo`; spot has no such stream.
    """

    venue: Venue
    symbol: SymbolText
    quote: Asset = "USDT"
    coin_margined: bool = False
    status: Word = "TRADING"
    contract_type: Word = "PERPETUAL"
    underlying_type: Word = "COIN"
    underlying_subtypes: tuple[str, ...] = ()
    onboard_ms: EpochMs | None = None
    delivery_ms: EpochMs = PERPETUAL_DELIVERY_MS
    max_leverage: Leverage = 75
    funding_hours: FundingHours = 8
    min_notional: Decimal | None = None
    extra_filters: Filters = ()
    announce: bool = True

    def spec(self, now_ms: int) -> SymbolSpec:
        """The instrument to list.

        Raises:
            InvalidValueError: The symbol does not end with its quote asset.
        """
        spec = self._synthetic()
        changed = structs.replace(
            spec,
            status=self.status,
            contract_type=self.contract_type,
            underlying_type=self.underlying_type,
            underlying_subtypes=self.underlying_subtypes,
            onboard_ms=now_ms if self.onboard_ms is None else self.onboard_ms,
            delivery_ms=self.delivery_ms,
            max_leverage=self.max_leverage,
            funding_hours=self.funding_hours,
            extra_filters=self.extra_filters,
        )
        return changed if self.min_notional is None else _with_notional(changed, self.min_notional)

    def _synthetic(self) -> SymbolSpec:
        pair, quote = self.symbol.partition("_")[0], "USD" if self.coin_margined else self.quote
        base = pair.removesuffix(quote)
        if base in {"", pair}:
            raise InvalidValueError(
                f"symbol: {self.symbol!r} does not end with its quote asset {quote}; "
                "write one that does, or its quote"
            )
        if not self.coin_margined:
            return build_symbol(self.venue, self.symbol, quote)
        if self.venue is Venue.SPOT or self.symbol != f"{pair}_PERP":
            raise InvalidValueError(
                f"symbol: {self.symbol!r} is no COIN-M perpetual; write venue perp and a symbol "
                "like SOLUSD_PERP"
            )
        return build_coin_margined(base)


class SymbolRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /sim/symbols/<venue>/<symbol>`; a missing field changes nothing.

    Attributes:
        status: As in exchangeInfo (`TRADING`, `BREAK`, `SETTLING`, ...); null delists the symbol.
        announce: Send the change to `!contractInfo`, if Binance would.
    """

    status: Word | UnsetType | None = UNSET
    delivery_ms: EpochMs | UnsetType = UNSET
    tick_size: Decimal | UnsetType = UNSET
    min_notional: Decimal | UnsetType = UNSET
    max_leverage: Leverage | UnsetType = UNSET
    funding_hours: FundingHours | UnsetType = UNSET
    extra_filters: Filters | UnsetType = UNSET
    announce: bool = True

    def __post_init__(self) -> None:
        changes = (getattr(self, name) for name in self.__struct_fields__ if name != "announce")
        if all(value is UNSET for value in changes):
            raise ValueError("nothing to change")

    def applied_to(self, spec: SymbolSpec) -> SymbolSpec:
        """*spec* with the changes; a delisting changes only what the venue shows.

        Raises:
            InvalidValueError: The tick size does not fit the prices.
        """
        changes = {
            name: value
            for name in _PLAIN_CHANGES
            if (value := getattr(self, name)) not in (UNSET, None)
        }
        spec = structs.replace(spec, **changes)
        if self.min_notional is not UNSET:
            spec = _with_notional(spec, self.min_notional)
        return spec if self.tick_size is UNSET else _with_tick(spec, self.tick_size)


def _with_notional(spec: SymbolSpec, notional: Decimal) -> SymbolSpec:
    """Spot writes eight decimals, futures what is needed.

    Raises:
        InvalidValueError: It is not an amount.
    """
    if not notional.is_finite() or not 0 <= notional <= 10**9:
        raise InvalidValueError(f"min_notional: {notional} is not an amount; write one like 5")
    text = f"{notional:.8f}" if spec.venue is Venue.SPOT else f"{notional.normalize():f}"
    return structs.replace(spec, min_notional=text)


def _with_tick(spec: SymbolSpec, tick_size: Decimal) -> SymbolSpec:
    tick = tick_size.scaleb(spec.price_decimals) if tick_size.is_finite() else Decimal(0)
    price_ticks = spec.price_ticks * spec.tick // int(tick) if tick >= 1 else 0
    if tick != int(tick) or price_ticks < _PRICE_TICKS_MIN:
        raise InvalidValueError(
            f"tick_size: {tick_size} does not fit prices with {spec.price_decimals} decimals about "
            f"{spec.price(spec.price_ticks)}; write another, like {spec.price(1)}"
        )
    return structs.replace(spec, tick=int(tick), price_ticks=price_ticks)
