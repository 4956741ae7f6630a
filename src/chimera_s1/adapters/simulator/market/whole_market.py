"""A market as large and as mixed as Binance's: about 930 futures and 3,000 spot symbols.

Counts and kinds are those of a public measurement of October 2026: 134 SETTLING contracts, 217 of
TradFi, quotes USDT, USDC and USD1, Chinese names, dated contracts. A few words and one filter are
invented: Binance adds new ones without notice, and a client has to survive them.
"""

from collections.abc import Callable, Iterable, Iterator

from msgspec import structs

from chimera_s1.adapters.simulator.market.symbols import (
    QUARTER_DELIVERY_MS,
    TRADIFI_PERPETUAL,
    Coin,
    SymbolSpec,
    build_symbol,
    build_symbols,
    perp_symbol,
    spot_symbol,
)
from chimera_s1.domain.identifiers import Venue

PERPS, SPOT_SYMBOLS = 930, 3000
UNKNOWN_STATUS, UNKNOWN_UNDERLYING, UNKNOWN_CONTRACT = "AUCTION", "BOND", "PERPETUAL_LEVERAGED"
UNKNOWN_FILTER: dict[str, object] = {"filterType": "MAX_ORDER_VALUE", "maxValue": "5000000"}

_SETTLING = 134
_SETTLED_MS = 1_780_000_000_000
_NEXT_QUARTER_MS = 1_806_048_000_000  # 2027-03-26 08:00 UTC
_TRADING_USDT = 480
_CHINESE = ("币安人生", "我踏马来了", "哈基米", "修仙", "客服小何")
_LARGE_LOTS = ("1000PEPE", "1000SHIB", "1000000MOG", "1000000BOB", "1MBABYDOGE")
_TRADFI = {
    "EQUITY": 140,
    "KR_EQUITY": 14,
    "HK_EQUITY": 24,
    "CN_EQUITY": 16,
    "COMMODITY": 12,
    "FX": 11,
}
_HOURLY_WEEKS_ONE_IN = 20
_PREFIXES = {"EQUITY": "EQ", "KR_EQUITY": "KR", "HK_EQUITY": "HK", "CN_EQUITY": "CN"}
_OTHER_QUOTES = {"USDC": 40, "USD1": 4}
_ODD_STATUSES = (
    "PENDING_TRADING",
    "PRE_DELIVERING",
    "DELIVERING",
    "DELIVERED",
    "PRE_SETTLE",
    "CLOSE",
    "TRADING_HALT",
    "TRADING_CANCEL_ONLY",
    UNKNOWN_STATUS,
)
_SUBTYPES = ("Layer-1", "DeFi", "Meme", "AI", "Payment", "Infrastructure", "NFT", "PoW")

_SPOT_QUOTES = {
    "USDC": 210, "FDUSD": 60, "TRY": 230, "BTC": 150, "BNB": 60, "ETH": 40, "EUR": 60, "USD1": 30,
}  # fmt: skip
_SPOT_ODD_STATUSES = ("HALT", "END_OF_DAY", "CANCEL_ONLY", UNKNOWN_STATUS)
_TOKENISED_STOCKS = 20
_LEGACY_ONE_IN = 10


def build_whole_market(wanted: int | tuple[str, ...]) -> tuple[SymbolSpec, ...]:
    """The symbols of `build_symbols`, and as many more as Binance has."""
    named = build_symbols(max(wanted, _TRADING_USDT) if isinstance(wanted, int) else wanted)
    perps = [spec for spec in named if spec.venue.value == "perp"]
    spot = [spec for spec in named if spec.venue.value == "spot"]
    return (*_filled(perps, _perps(), PERPS), *_filled(spot, _spot(), SPOT_SYMBOLS))


def _filled(
    specs: list[SymbolSpec], further: Iterable[SymbolSpec], count: int
) -> Iterator[SymbolSpec]:
    """*specs* and, without repetition, *further* ones up to *count*; COIN-M is not counted."""
    seen = {spec.symbol for spec in specs}
    yield from specs
    left = count - sum(spec.is_usd_margined for spec in specs)
    for spec in further:
        if left <= 0:
            return
        if spec.symbol not in seen:
            seen.add(spec.symbol)
            left -= 1
            yield spec


def _perps() -> Iterator[SymbolSpec]:
    """The rare kinds first, and then SETTLING and TRADING contracts without end."""
    yield from _dated()
    yield from _unknown()
    yield from (_perp(name, n, subtypes=("Meme",)) for n, name in enumerate(_CHINESE))
    yield from (_perp(name, n, subtypes=("Meme",)) for n, name in enumerate(_LARGE_LOTS))
    yield _perp("DEFI", 1, underlying_type="INDEX", subtypes=("INDEX",))
    yield _perp("PREM", 2, underlying_type="PREMARKET", subtypes=("Pre-Market",))
    for n, status in enumerate(_ODD_STATUSES):
        yield structs.replace(_perp(f"ODD{n}", n), status=status)
    for quote, count in _OTHER_QUOTES.items():
        yield from (_quoted_in(_perp(f"SIM{n:04d}", n), quote) for n in range(1, count))
    yield from _tradfi()
    for n in range(1, _SETTLING):
        settling = {"status": "SETTLING", "delivery_ms": _SETTLED_MS + n * 86_400_000}
        yield structs.replace(_perp(f"OLD{n:03d}", n), **settling)
    yield from _without_end(lambda n: _perp(f"SIM{n:04d}", n))


def _dated() -> Iterator[SymbolSpec]:
    for n, base in enumerate(("BTC", "ETH")):
        for code, kind, delivery_ms in (
            ("261225", "CURRENT_QUARTER", QUARTER_DELIVERY_MS),
            ("270326", "NEXT_QUARTER", _NEXT_QUARTER_MS),
        ):
            yield structs.replace(
                _perp(base, n),
                symbol=f"{base}USDT_{code}",
                contract_type=kind,
                delivery_ms=delivery_ms,
            )


def _unknown() -> Iterator[SymbolSpec]:
    yield _perp("BONDS", 3, underlying_type=UNKNOWN_UNDERLYING)
    yield structs.replace(_perp("LEVERAGED", 4), contract_type=UNKNOWN_CONTRACT)
    yield structs.replace(_perp("FILTERED", 5), extra_filters=(UNKNOWN_FILTER,))


def _tradfi() -> Iterator[SymbolSpec]:
    for kind, count in _TRADFI.items():
        prefix = _PREFIXES.get(kind, kind[:2])
        for n in range(1, count + 1):
            spec = _perp(f"{prefix}{n:03d}", n, underlying_type=kind, subtypes=("TradFi",))
            yield structs.replace(spec, contract_type=TRADIFI_PERPETUAL, price_band=2)


def _perp(
    base: str, n: int, *, underlying_type: str = "COIN", subtypes: tuple[str, ...] = ()
) -> SymbolSpec:
    return structs.replace(
        perp_symbol(_coin(base, n)),
        underlying_type=underlying_type,
        underlying_subtypes=subtypes or (_SUBTYPES[n % len(_SUBTYPES)],),
        funding_hours=(8, 4, 4, 1, 8, 2, 4, 1)[n % 8],
        hourly_weeks=n % _HOURLY_WEEKS_ONE_IN == 0,
        max_leverage=(75, 50, 25, 10)[n % 4],
    )


def _coin(base: str, n: int) -> Coin:
    """Prices from thousands down to millionths, with four significant digits and more."""
    magnitude = n % 7
    price = (1 + n % 89 / 10) * 10.0 ** (3 - magnitude)
    return Coin(base, price, magnitude, max(0, 3 - magnitude), magnitude, max(0, 3 - magnitude))


def _quoted_in(spec: SymbolSpec, quote: str) -> SymbolSpec:
    return structs.replace(spec, symbol=f"{spec.base}{quote}", quote=quote)


def _spot() -> Iterator[SymbolSpec]:
    """The rare kinds first, then all quotes, and then symbols under BREAK without end."""
    yield build_symbol(Venue.SPOT, "USDCUSDT", "USDT")
    yield from (spot_symbol(_coin(name, n)) for n, name in enumerate(_CHINESE))
    for n, status in enumerate(_SPOT_ODD_STATUSES):
        yield structs.replace(spot_symbol(_coin(f"ODD{n}", n)), status=status)
    filtered = structs.replace(spot_symbol(_coin("FILTERED", 5)), extra_filters=(UNKNOWN_FILTER,))
    yield filtered
    for n in range(1, _TOKENISED_STOCKS + 1):
        group = {"trading_group": "TRD_GRP_250"}
        yield structs.replace(spot_symbol(_coin(f"STOCK{n:02d}", n)), **group)
    for quote, count in _SPOT_QUOTES.items():
        for n in range(count):
            spec = _quoted_in(spot_symbol(_coin(f"SIM{n:04d}", n)), quote)
            yield structs.replace(spec, legacy=n % _LEGACY_ONE_IN == 0)
    yield from _without_end(
        lambda n: structs.replace(spot_symbol(_coin(f"OLD{n:04d}", n)), status="BREAK")
    )


def _without_end(build: Callable[[int], SymbolSpec]) -> Iterator[SymbolSpec]:
    n = 0
    while True:
        n += 1
        yield build(n)
