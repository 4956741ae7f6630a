"""The instruments this exchange lists.

Known majors, synthetic ones, and a few that a consumer must filter out: not TRADING, not quoted in
USDT, COIN-M, TradFi, dated contracts.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from chimera_s1.domain.identifiers import Venue

SPOT_DECIMALS = 8
PERPETUAL_DELIVERY_MS = 4_133_404_800_000
QUARTER_DELIVERY_MS = 1_798_185_600_000  # 2026-12-25 08:00 UTC
ONBOARD_MS = 1_569_398_400_000
TRADIFI_PERPETUAL = "TRADIFI_PERPETUAL"
_USD_MARGINED, _COIN_MARGINED = 1, 2

Level = tuple[int, int]
"""Price in ticks, quantity in steps."""


class SymbolSpec(Struct, frozen=True, kw_only=True):
    """One listed instrument.

    Prices and quantities are counted in ticks and steps.

    Attributes:
        price_ticks: Where the price path starts, in ticks.
        price_decimals: Decimals of prices in payloads; spot always has eight.
        tick, step: Size of one tick and one step, in units of the last decimal.
        min_notional: In the venue's format.
        market_step_zero: MARKET_LOT_SIZE has step "0": the LOT_SIZE step applies.
        margin_pair: Spot only: it is traded on margin, too.
        contract_type, underlying_type, underlying_subtypes: Futures only.
        margin_kind: Futures only, the `st` of payloads: 1 USD-M, 2 COIN-M.
        onboard_ms, delivery_ms: Exchange time; a perpetual's delivery is far away until its
            delisting is announced, and so is that of a spot symbol.
        max_leverage: Futures only, of the lowest notional bracket.
        max_steps, market_max_steps: Largest quantities of an order and of a market order.
        price_band: Futures only: how far, in percent, an order's price may be from the mark price.
        hourly_weeks: Futures only: it settles funding hourly in some weeks.
        legacy: Spot only: older filters and fewer order types.
        trading_group: Spot only: if set, the permission that a request must name to see it.
        extra_filters: Appended to the filters of exchangeInfo as they are.
    """

    venue: Venue
    symbol: str
    base: str
    quote: str
    price_ticks: int
    price_decimals: int
    tick: int
    quantity_decimals: int
    step: int
    min_notional: str = "5.00000000"
    status: str = "TRADING"
    market_step_zero: bool = False
    margin_pair: bool = False
    contract_type: str = "PERPETUAL"
    margin_kind: int = _USD_MARGINED
    funding_hours: int = 8
    hourly_weeks: bool = False
    underlying_type: str = "COIN"
    underlying_subtypes: tuple[str, ...] = ()
    onboard_ms: int = ONBOARD_MS
    delivery_ms: int = PERPETUAL_DELIVERY_MS
    max_leverage: int = 75
    max_steps: int = 900_000_000
    market_max_steps: int = 90_000_000
    price_band: int = 5
    legacy: bool = False
    trading_group: str = ""
    extra_filters: tuple[dict[str, object], ...] = ()

    @property
    def is_trading(self) -> bool:
        return self.status == "TRADING"

    @property
    def is_usd_margined(self) -> bool:
        return self.margin_kind == _USD_MARGINED

    @property
    def pair(self) -> str:
        """`BTCUSDT` for the contract `BTCUSDT_261225`."""
        return self.symbol.split("_")[0]

    def price(self, ticks: int) -> str:
        """*ticks* in the venue's price format."""
        return format_fixed(ticks * self.tick, self.price_decimals)

    def quantity(self, steps: int) -> str:
        """*steps* in the venue's quantity format."""
        return format_fixed(steps * self.step, self.quantity_decimals)

    def value(self, ticks: int, steps: int) -> str:
        """Price times quantity, in the quote asset, rounded down to eight decimals."""
        decimals = self.price_decimals + self.quantity_decimals
        surplus = max(0, decimals - SPOT_DECIMALS)
        units = ticks * steps * self.tick * self.step // 10**surplus
        return format_fixed(units, decimals - surplus)

    def levels(self, levels: Iterable[Level]) -> list[tuple[str, str]]:
        """Price and quantity of each level, in the venue's formats."""
        return [(self.price(ticks), self.quantity(steps)) for ticks, steps in levels]


class Coin(Struct, frozen=True):
    """What both venues list of one asset; ticks and steps are decimal places."""

    base: str
    price: float
    spot_tick: int
    spot_step: int
    perp_tick: int
    perp_step: int


_MAJORS = (
    Coin("BTC", 67_403.8, 2, 5, 1, 3),
    Coin("ETH", 3_512.42, 2, 4, 2, 3),
    Coin("BNB", 612.35, 2, 3, 2, 2),
    Coin("SOL", 168.21, 2, 3, 2, 2),
    Coin("XRP", 0.5342, 4, 1, 4, 1),
    Coin("DOGE", 0.13871, 5, 0, 5, 0),
    Coin("ADA", 0.4521, 4, 1, 4, 0),
    Coin("AVAX", 28.31, 2, 2, 3, 0),
    Coin("LINK", 14.12, 2, 2, 3, 2),
    Coin("LTC", 78.45, 2, 3, 2, 3),
    Coin("DOT", 6.214, 3, 2, 3, 1),
    Coin("TRX", 0.1214, 4, 1, 5, 0),
    Coin("SHIB", 0.00002514, 8, 0, 8, 0),
    Coin("UNI", 9.812, 3, 2, 3, 0),
)
_USDC = Coin("USDC", 0.9998, 4, 0, 4, 0)
_BY_SYMBOL = {f"{coin.base}USDT": coin for coin in _MAJORS}
_PERP_MIN_NOTIONAL = {"BTC": "100", "ETH": "20", "LTC": "20", "LINK": "20"}
_PERP_MAX_STEPS = {"BTC": (1_000_000, 120_000), "ETH": (10_000_000, 2_000_000)}
"""As at Binance: market orders of BTC up to 120, others up to 1000."""


def format_fixed(value: int, decimals: int) -> str:
    """*value* in units of the last of *decimals*: `format_fixed(2535, 2)` is `25.35`."""
    if decimals == 0:
        return str(value)
    whole, fraction = divmod(value, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}"


def build_symbols(wanted: int | tuple[str, ...]) -> tuple[SymbolSpec, ...]:
    """All instruments of both venues.

    Args:
        wanted: How many TRADING symbols quoted in USDT per venue, or their names. A number takes
            the majors first, then SIM0001USDT, SIM0002USDT, ...; those that a consumer must filter
            out come in addition.
    """
    names = wanted if isinstance(wanted, tuple) else _names(wanted)
    specs: list[SymbolSpec] = []
    for name in names:
        coin = _BY_SYMBOL.get(name) or _synthetic(name)
        specs += (spot_symbol(coin), perp_symbol(coin))
    return (*specs, *_filtered_out_spot(), *_filtered_out_perp())


def _names(count: int) -> tuple[str, ...]:
    majors = tuple(_BY_SYMBOL)[:count]
    return majors + tuple(f"SIM{n:04d}USDT" for n in range(1, count - len(majors) + 1))


def _synthetic(symbol: str) -> Coin:
    if symbol == f"{_USDC.base}USDT":
        return _USDC
    base = symbol.removesuffix("USDT") or symbol
    spread = sum(symbol.encode())
    return Coin(base, 1.0 + spread % 89 + spread / 1000, 4, 2, 4, 1)


def spot_symbol(coin: Coin) -> SymbolSpec:
    return SymbolSpec(
        venue=Venue.SPOT,
        symbol=f"{coin.base}USDT",
        base=coin.base,
        quote="USDT",
        price_ticks=round(coin.price * 10**coin.spot_tick),
        price_decimals=SPOT_DECIMALS,
        tick=10 ** (SPOT_DECIMALS - coin.spot_tick),
        quantity_decimals=SPOT_DECIMALS,
        step=10 ** (SPOT_DECIMALS - coin.spot_step),
        market_step_zero=True,
        margin_pair=f"{coin.base}USDT" in _BY_SYMBOL,
    )


def perp_symbol(coin: Coin) -> SymbolSpec:
    # BTCUSDT has a tick of 0.10 and two decimals: its tick is not one unit of the last decimal.
    decimals = coin.perp_tick + (1 if coin.base == "BTC" else 0)
    most, most_at_market = _PERP_MAX_STEPS.get(coin.base, (900_000_000, 90_000_000))
    return SymbolSpec(
        venue=Venue.PERP,
        symbol=f"{coin.base}USDT",
        base=coin.base,
        quote="USDT",
        price_ticks=round(coin.price * 10**coin.perp_tick),
        price_decimals=decimals,
        tick=10 ** (decimals - coin.perp_tick),
        quantity_decimals=coin.perp_step,
        step=1,
        min_notional=_PERP_MIN_NOTIONAL.get(coin.base, "5"),
        max_steps=most,
        market_max_steps=most_at_market,
        funding_hours=4 if coin.base == "SOL" else 8,
    )


def _filtered_out_spot() -> tuple[SymbolSpec, ...]:
    btc, eth = spot_symbol(_MAJORS[0]), spot_symbol(_MAJORS[1])
    replace = msgspec.structs.replace
    return (
        replace(btc, symbol="BTCUSDC", quote="USDC", price_ticks=btc.price_ticks + 120),
        replace(
            eth, symbol="ETHBTC", quote="BTC", price_ticks=5211, tick=1000, market_step_zero=False
        ),
        replace(eth, symbol="LUNCUSDT", base="LUNC", status="BREAK", margin_pair=False),
        replace(eth, symbol="WAVESUSDT", base="WAVES", status="CANCEL_ONLY", margin_pair=False),
    )


def _filtered_out_perp() -> tuple[SymbolSpec, ...]:
    btc, eth, bnb = (perp_symbol(coin) for coin in _MAJORS[:3])
    replace = msgspec.structs.replace
    return (
        replace(btc, symbol="BTCUSDC", quote="USDC"),
        replace(
            btc,
            symbol="BTCUSDT_261225",
            contract_type="CURRENT_QUARTER",
            delivery_ms=QUARTER_DELIVERY_MS,
        ),
        replace(
            bnb,
            symbol="XAUUSDT",
            base="XAU",
            contract_type=TRADIFI_PERPETUAL,
            underlying_type="COMMODITY",
            underlying_subtypes=("TradFi",),
        ),
        replace(bnb, symbol="OLDUSDT", base="OLD", status="SETTLING"),
        replace(bnb, symbol="NEXTUSDT", base="NEXT", status="PENDING_TRADING"),
        _coin_margined(btc),
        _coin_margined(eth),
    )


UNLISTED = perp_symbol(Coin("UNLISTED", 1.25, 4, 2, 4, 1))
"""Only all-market streams and the history of funding have it."""


def build_symbol(venue: Venue, symbol: str, quote: str) -> SymbolSpec:
    """A synthetic TRADING instrument; its price follows from its name.

    *symbol* is its base asset, *quote* and, for dated contracts, `_` and a date.
    """
    coin = _synthetic(symbol.split("_", maxsplit=1)[0].removesuffix(quote) + "USDT")
    spec = spot_symbol(coin) if venue is Venue.SPOT else perp_symbol(coin)
    return msgspec.structs.replace(spec, symbol=symbol, quote=quote)


def build_coin_margined(base: str) -> SymbolSpec:
    """The synthetic COIN-M perpetual of *base*."""
    return _coin_margined(perp_symbol(_synthetic(f"{base}USDT")))


def _coin_margined(perpetual: SymbolSpec) -> SymbolSpec:
    """The contract of the same coin that is quoted in USD and counted in whole contracts."""
    return msgspec.structs.replace(
        perpetual,
        symbol=f"{perpetual.base}USD_PERP",
        quote="USD",
        quantity_decimals=0,
        margin_kind=_COIN_MARGINED,
    )
