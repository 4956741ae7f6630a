"""The market that is as large and as mixed as Binance's."""

from collections import Counter

import pytest

from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.order_books import BOOK_LEVELS
from chimera_s1.adapters.simulator.market.symbols import PERPETUAL_DELIVERY_MS
from chimera_s1.adapters.simulator.market.whole_market import (
    PERPS,
    SPOT_SYMBOLS,
    UNKNOWN_STATUS,
    build_whole_market,
)
from chimera_s1.domain.identifiers import Venue, parse_symbol

SPECS = build_whole_market(20)
PERP = [spec for spec in SPECS if spec.venue is Venue.PERP and spec.is_usd_margined]
SPOT = [spec for spec in SPECS if spec.venue is Venue.SPOT]


@pytest.mark.parametrize("wanted", [1, 20, 700, (), ("BTCUSDT", "币安人生USDT")])
def test_each_symbol_is_listed_once_and_there_are_as_many(wanted: int | tuple[str, ...]) -> None:
    specs = build_whole_market(wanted)
    keys = Counter((spec.venue, spec.symbol) for spec in specs)

    assert set(keys.values()) == {1}
    perps = [spec for spec in specs if spec.venue is Venue.PERP and spec.is_usd_margined]
    assert len(perps) == PERPS
    assert len(specs) - len(perps) - SPOT_SYMBOLS == 2  # COIN-M


def test_the_kinds_of_contracts_are_those_of_binance() -> None:
    assert Counter(spec.status for spec in PERP)["SETTLING"] == 134
    assert sum(spec.contract_type == "TRADIFI_PERPETUAL" for spec in PERP) == 218
    assert {spec.quote for spec in PERP} == {"USDT", "USDC", "USD1"}
    assert sum(not spec.symbol.isascii() for spec in PERP) == 5
    assert {spec.contract_type for spec in PERP if "_" in spec.symbol} == {
        "CURRENT_QUARTER",
        "NEXT_QUARTER",
    }
    assert {spec.funding_hours for spec in PERP} == {1, 2, 4, 8}
    assert UNKNOWN_STATUS in {spec.status for spec in PERP} & {spec.status for spec in SPOT}


def test_what_no_longer_trades_has_a_delivery_date() -> None:
    for spec in PERP:
        if spec.symbol.startswith("OLD0"):
            assert spec.delivery_ms < PERPETUAL_DELIVERY_MS


def test_every_symbol_can_be_traded_as_it_is_listed() -> None:
    """Its name can be a stream's, its prices have room for a book, its lots fit in each other."""
    for spec in SPECS:
        assert parse_symbol(spec.symbol) == spec.symbol
        assert spec.price_ticks > 2 * BOOK_LEVELS
        assert spec.market_max_steps < spec.max_steps


def test_a_market_that_is_listed_again_goes_on() -> None:
    """Ids of the same symbol never run back."""
    market = Market(SPECS, 1, 1_000)
    symbol = market.add(PERP[0], 1_000)
    symbol.advance()
    last = symbol.update_id
    symbol.delisted = True

    assert not market.list_new(PERP[0])
    assert market.find(Venue.PERP, PERP[0].symbol) is None
    assert market.add(PERP[0], 1_000).update_id == last
    assert market.find(Venue.PERP, PERP[0].symbol) is symbol
