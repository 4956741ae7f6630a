"""Payloads have the keys, the order and the value types of Binance's documentation."""

import re
from typing import Any

import orjson
import pytest

from chimera_s1.adapters.simulator.market.market import BookVersion, Market, SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.streams.payloads import (
    BookTickerEncoder,
    agg_trade,
    all_mark_prices,
    book_ticker_times,
    contract_info,
    diff_depth,
    mark_price,
    partial_depth,
)
from chimera_s1.domain.identifiers import Venue

NOW = 1_772_514_460_893
BEFORE = BookVersion(update_id=160, updates=7)
MARKET = Market(build_symbols(3), 1, 1_772_514_000_000)
DECIMAL = re.compile(r"-?\d+(\.\d+)?")

SPOT_BOOK_TICKER = (
    '{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000",'
    '"A":"40.66000000"}'
)
PERP_BOOK_TICKER = (
    '{"e":"bookTicker","u":400900217,"E":1772514460893,"T":1772514460891,"s":"BNBUSDT",'
    '"ps":"BNBUSDT","b":"25.35190000","B":"31.21","a":"25.36520000","A":"40.66","st":1}'
)
SPOT_PARTIAL_DEPTH = '{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}'
PERP_DEPTH = (
    '{"e":"depthUpdate","E":1772514460277,"T":1772514460276,"s":"BTCUSDT","ps":"BTCUSDT",'
    '"U":390497796,"u":390497878,"pu":390497794,"b":[["67403.80","0.002"]],'
    '"a":[["67405.90","3.340"]],"st":1}'
)
SPOT_DIFF = (
    '{"e":"depthUpdate","E":1772515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],'
    '"a":[["0.0026","0"]]}'
)
MARK_PRICE = (
    '{"e":"markPriceUpdate","E":1772505380000,"s":"BTCUSDT","p":"67794.15000000",'
    '"ap":"67790.10000000","i":"67784.62659091","P":"67784.25641265","r":"0.00038167",'
    '"T":1772506400000,"st":1}'
)
SPOT_TRADE = (
    '{"e":"aggTrade","E":1,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1,'
    '"m":true,"M":true}'
)
PERP_TRADE = (
    '{"e":"aggTrade","E":1,"s":"BTCUSDT","a":5933014,"p":"0.001","q":"100","nq":"100","f":100,'
    '"l":105,"T":1,"m":true,"st":1}'
)


def market(venue: Venue, symbol: str = "BTCUSDT") -> SymbolMarket:
    found = MARKET.find(venue, symbol)
    assert found is not None
    return found


def shape(value: Any) -> Any:
    """Keys in order, with the kind of each value; numbers in text are a kind of their own."""
    match value:
        case dict():
            return [(key, shape(each)) for key, each in value.items()]
        case list():
            return [shape(each) for each in value[:1]]
        case str():
            return "decimal" if DECIMAL.fullmatch(value) else "text"
        case _:
            return type(value).__name__


def book_ticker(venue: Venue) -> bytes:
    return BookTickerEncoder(market(venue)).encode(book_ticker_times(venue, NOW))


def diff(venue: Venue) -> bytes:
    return diff_depth(market(venue), [(67_400, 5)], [(67_500, 0)], BEFORE, NOW)


def trade(venue: Venue) -> bytes:
    traded = market(venue)
    return agg_trade(traded.spec, traded.next_trade(), NOW)


@pytest.mark.parametrize(
    ("payload", "documented"),
    [
        pytest.param(book_ticker(Venue.SPOT), SPOT_BOOK_TICKER, id="spot bookTicker"),
        pytest.param(book_ticker(Venue.PERP), PERP_BOOK_TICKER, id="futures bookTicker"),
        pytest.param(
            partial_depth(market(Venue.SPOT), 5, BEFORE, NOW), SPOT_PARTIAL_DEPTH, id="spot depth5"
        ),
        pytest.param(
            partial_depth(market(Venue.PERP), 5, BEFORE, NOW), PERP_DEPTH, id="futures depth5"
        ),
        pytest.param(diff(Venue.SPOT), SPOT_DIFF, id="spot depth"),
        pytest.param(diff(Venue.PERP), PERP_DEPTH, id="futures depth"),
        pytest.param(mark_price(market(Venue.PERP), NOW), MARK_PRICE, id="markPrice"),
        pytest.param(trade(Venue.SPOT), SPOT_TRADE, id="spot aggTrade"),
        pytest.param(trade(Venue.PERP), PERP_TRADE, id="futures aggTrade"),
    ],
)
def test_payloads_have_the_documented_shape(payload: bytes, documented: str) -> None:
    assert shape(orjson.loads(payload)) == shape(orjson.loads(documented))


def test_prices_have_the_format_of_their_venue() -> None:
    """Spot has eight decimals, futures the precision of the symbol."""
    spot, perp = (orjson.loads(book_ticker(venue)) for venue in Venue)

    assert re.fullmatch(r"\d+\.\d{2}000000", spot["b"])
    assert re.fullmatch(r"\d+\.\d0", perp["b"])
    assert re.fullmatch(r"\d+\.\d{3}", perp["B"])


def test_partial_depth_has_all_its_levels() -> None:
    depth = orjson.loads(partial_depth(market(Venue.SPOT), 20, BEFORE, NOW))

    assert len(depth["bids"]) == len(depth["asks"]) == 20


def test_spot_diffs_chain_by_first_id_and_futures_diffs_by_previous_id() -> None:
    assert orjson.loads(diff(Venue.SPOT))["U"] == 161
    assert orjson.loads(diff(Venue.PERP))["pu"] == 160


def test_all_mark_prices_come_in_two_messages_with_tradfi_apart() -> None:
    listed = [each for each in MARKET.listed(Venue.PERP) if each.spec.is_trading]

    crypto, tradfi = (orjson.loads(frame) for frame in all_mark_prices(listed, NOW))

    assert [row["s"] for row in tradfi] == ["XAUUSDT"]
    assert {row["st"] for row in crypto} == {1, 2}
    assert "XAUUSDT" not in {row["s"] for row in crypto}


def test_a_dated_contract_has_no_next_funding() -> None:
    row = orjson.loads(mark_price(market(Venue.PERP, "BTCUSDT_261225"), NOW))

    assert (row["T"], row["r"]) == (0, "")


def test_the_next_funding_is_ahead_and_on_the_hour() -> None:
    row = orjson.loads(mark_price(market(Venue.PERP), NOW))

    assert NOW < row["T"] <= NOW + 8 * 3_600_000
    assert row["T"] % 3_600_000 == 0


def test_contract_info_names_the_contract() -> None:
    event = orjson.loads(contract_info(market(Venue.PERP).spec, NOW))

    assert (event["e"], event["s"], event["cs"]) == ("contractInfo", "BTCUSDT", "TRADING")
