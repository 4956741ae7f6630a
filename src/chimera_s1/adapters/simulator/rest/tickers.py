"""Rows of the price tickers of both venues."""

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import format_fixed
from chimera_s1.adapters.simulator.rest.parameters import DAY_MS

Row = dict[str, object]

_PERCENT_DECIMALS = 3


def book_row(market: SymbolMarket) -> Row:
    """Of `ticker/bookTicker`."""
    spec, book = market.spec, market.book
    return {
        "symbol": spec.symbol,
        "bidPrice": spec.price(book.bid),
        "bidQty": spec.quantity(book.bid_steps),
        "askPrice": spec.price(book.ask),
        "askQty": spec.quantity(book.ask_steps),
    }


def price_row(market: SymbolMarket) -> Row:
    """Of `ticker/price`."""
    ticks, _ = market.last_trade
    return {"symbol": market.spec.symbol, "price": market.spec.price(ticks)}


def mini_day_row(market: SymbolMarket, now_ms: int) -> Row:
    """Of spot's `ticker/24hr?type=MINI`."""
    spec, day = market.spec, market.day
    ticks, _ = market.last_trade
    return {
        "symbol": spec.symbol,
        "openPrice": spec.price(day.first),
        "highPrice": spec.price(day.high),
        "lowPrice": spec.price(day.low),
        "lastPrice": spec.price(ticks),
        "volume": spec.quantity(day.steps),
        "quoteVolume": spec.value(day.value, 1),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": market.tape.last_id - day.count + 1,
        "lastId": market.tape.last_id,
        "count": day.count,
    }


def day_row(market: SymbolMarket, now_ms: int) -> Row:
    """Of the futures' `ticker/24hr`."""
    spec, day = market.spec, market.day
    ticks, steps = market.last_trade
    change = ticks - day.first
    thousandths = abs(change) * 100 * 10**_PERCENT_DECIMALS // day.first
    percent = format_fixed(thousandths, _PERCENT_DECIMALS)
    return {
        **mini_day_row(market, now_ms),
        "priceChange": _signed(change, spec.price(abs(change))),
        "priceChangePercent": _signed(change, percent),
        "weightedAvgPrice": average_price(market),
        "lastQty": spec.quantity(steps),
    }


def average_price(market: SymbolMarket) -> str:
    """Of the day, weighted by quantity."""
    spec, day = market.spec, market.day
    return format_fixed(day.value * spec.tick // day.steps, spec.price_decimals)


def spot_day_row(market: SymbolMarket, now_ms: int) -> Row:
    """Of spot's `ticker/24hr`, which has the best bid and ask as well."""
    first = market.spec.price(market.day.first)
    return {**day_row(market, now_ms), **book_row(market), "prevClosePrice": first}


def _signed(value: int, magnitude: str) -> str:
    return f"-{magnitude}" if value < 0 else magnitude
