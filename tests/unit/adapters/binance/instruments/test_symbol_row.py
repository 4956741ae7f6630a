"""Rows of exchangeInfo: the shapes that Binance sends, and what a row may not cost the others.

The shapes (keys, filters, values of enumerations) are those of replies that public clients of
Binance have recorded from 2019 to October 2026: ccxt/ccxt, JKorf/Binance.Net,
nautechsystems/nautilus_trader and others. The rows are our own.
"""

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.instruments.exchange_info import ExchangeInfo
from chimera_s1.adapters.binance.instruments.symbol_row import decode_listing, decode_spec
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.enumerations import StatusClass, status_class, unknown_values
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import Rounding
from chimera_s1.domain.instruments.order_rules import Execution, order_rules
from chimera_s1.domain.market.instrument_selection import ContractKind, Listing

SHAPES = {
    venue: (Path(__file__).parent / "shapes" / f"{venue.value}.json").read_bytes()
    for venue in Venue
}
COIN_MARGINED = "BTCUSD_260925"


def rows(venue: Venue) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(SHAPES[venue])["symbols"]
    return found


GOOD = {venue: [row for row in rows(venue) if row["symbol"] != COIN_MARGINED] for venue in Venue}


def raw(row: object) -> Raw:
    return Raw(msgspec.json.encode(row))


def spec(venue: Venue, symbol: str, **changes: object) -> InstrumentSpec:
    (row,) = [row for row in rows(venue) if row["symbol"] == symbol]
    decoded = decode_spec(venue, raw(row | changes))
    assert decoded is not None
    return decoded


def with_filters(*filters: object, venue: Venue = Venue.SPOT) -> InstrumentSpec:
    return spec(venue, "BTCUSDT", filters=filters)


@pytest.mark.parametrize("venue", Venue)
def test_no_row_of_the_recorded_shapes_is_lost(venue: Venue) -> None:
    """Each is decoded as a spec and as a listing; no value is unknown; COIN-M is passed over."""
    listed = msgspec.json.decode(SHAPES[venue], type=ExchangeInfo).symbols
    specs = [decode_spec(venue, row) for row in listed]
    listings = [decode_listing(venue, row) for row in listed]
    names = [row["symbol"] for row in rows(venue)]

    assert [each and each.instrument.symbol for each in specs] == [
        None if name == COIN_MARGINED else name for name in names
    ]
    assert [each and each.instrument for each in listings] == [
        each and each.instrument for each in specs
    ]
    assert not unknown_values(each for each in specs if each)
    assert all(status_class(each.status) is not StatusClass.UNKNOWN for each in specs if each)


def test_a_perp_reads_like_its_row() -> None:
    """In the units of orders; filters as canonical JSON, in Binance's order."""
    btc = spec(Venue.PERP, "BTCUSDT")

    assert btc == InstrumentSpec(
        instrument=InstrumentId(Venue.PERP, Symbol("BTCUSDT")),
        status="TRADING",
        base_asset="BTC",
        quote_asset="USDT",
        margin_asset="USDT",
        contract_type="PERPETUAL",
        underlying_type="COIN",
        underlying_sub_types=("PoW", "Crypto"),
        onboard_date=1_567_965_300_000,
        tick_size=Decimal("0.1"),
        min_price=Decimal("556.8"),
        max_price=Decimal(4_529_764),
        step_size=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(1000),
        market_step_size=Decimal("0.001"),
        market_min_qty=Decimal("0.001"),
        market_max_qty=Decimal(120),
        min_notional=Decimal(50),
        market_min_notional=Decimal(50),
        order_types=(
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ),
        times_in_force=("GTC", "IOC", "FOK", "GTX", "GTD"),
        filters=btc.filters,
    )
    assert len(btc.filters) == 7
    assert btc.filters[0] == (
        '{"filterType":"PRICE_FILTER","maxPrice":"4529764","minPrice":"556.80","tickSize":"0.10"}'
    )
    assert btc.filters[-1] == '{"filterType":"POSITION_RISK_CONTROL","positionControlSide":"NONE"}'


def test_delivery_dates_are_of_contracts_that_end() -> None:
    """2100-12-25 is none; a nearer one of a perpetual contract announces its delisting."""
    assert spec(Venue.PERP, "BTCUSDT").delivery_date is None
    assert spec(Venue.PERP, "MBLUSDT").delivery_date is None
    assert spec(Venue.PERP, "BTCUSDT_260925").delivery_date == 1_790_323_200_000
    assert spec(Venue.PERP, "BLZUSDT").delivery_date == 1_735_290_000_000


def test_a_step_of_0_is_lot_sizes_and_the_smaller_maximum_holds() -> None:
    """Spot's MARKET_LOT_SIZE: step and minimum 0, a maximum off the step."""
    btc = spec(Venue.SPOT, "BTCUSDT")
    rules = order_rules(btc)

    assert btc.market_step_size == btc.step_size == Decimal("0.00001")
    assert btc.market_min_qty == btc.min_qty == Decimal("0.00001")
    assert btc.market_max_qty == Decimal("104.34142329")
    assert rules.round_quantity(
        Decimal("104.34142329"), Execution.MARKET, Rounding.DOWN
    ) == Decimal("104.34142")


LOT = {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "100", "stepSize": "0.1"}
MARKET_LOT = {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "126", "stepSize": "0"}


@pytest.mark.parametrize(
    ("market", "expected"),
    [
        ({}, ("0.1", "0.1", "100")),
        ({"maxQty": "12"}, ("0.1", "0.1", "12")),
        ({"maxQty": "0"}, ("0.1", "0.1", "100")),
        ({"maxQty": None}, ("0.1", "0.1", "100")),
        ({"minQty": "5", "stepSize": "1"}, ("1", "5", "100")),
    ],
)
def test_market_orders_obey_both_lot_sizes(
    market: dict[str, object], expected: tuple[str, str, str]
) -> None:
    """The narrower bounds; a rule of 0 is off."""
    row = with_filters(LOT, MARKET_LOT | market)

    assert (row.market_step_size, row.market_min_qty, row.market_max_qty) == tuple(
        map(Decimal, expected)
    )


def test_without_market_lot_size_lot_size_holds() -> None:
    """As for dated contracts in recorded replies."""
    row = with_filters(LOT)

    assert (row.market_step_size, row.market_max_qty) == (Decimal("0.1"), Decimal(100))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([{"filterType": "MIN_NOTIONAL", "notional": "5.0"}], ("5", None, "5", None)),
        ([{"filterType": "MIN_NOTIONAL", "minNotional": "5.0"}], ("5", None, "5", None)),
        (
            [{"filterType": "MIN_NOTIONAL", "minNotional": "5.0", "applyToMarket": False}],
            ("5", None, None, None),
        ),
        (
            [{"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000.00000000"}],
            ("5", "9000000", "5", "9000000"),
        ),
        (
            [
                {
                    "filterType": "NOTIONAL",
                    "minNotional": "5",
                    "applyMinToMarket": False,
                    "maxNotional": "9000000",
                    "applyMaxToMarket": False,
                }
            ],
            ("5", "9000000", None, None),
        ),
        (
            [
                {"filterType": "MIN_NOTIONAL", "minNotional": "10", "applyToMarket": False},
                {"filterType": "NOTIONAL", "minNotional": "5"},
            ],
            ("10", None, "5", None),
        ),
        ([{"filterType": "NOTIONAL", "minNotional": "0"}], (None, None, None, None)),
        ([], (None, None, None, None)),
    ],
)
def test_one_rule_has_three_shapes(filters: list[object], expected: tuple[str | None, ...]) -> None:
    """`notional` on futures, `minNotional` on spot, and NOTIONAL with a maximum."""
    row = with_filters(*filters)
    limits = (
        row.min_notional,
        row.max_notional,
        row.market_min_notional,
        row.market_max_notional,
    )

    assert limits == tuple(None if text is None else Decimal(text) for text in expected)


def test_a_filter_of_0_is_off() -> None:
    """Each bound on its own."""
    row = with_filters(
        {"filterType": "PRICE_FILTER", "minPrice": "0.00", "maxPrice": "0", "tickSize": "0.000"}
    )

    assert (row.tick_size, row.min_price, row.max_price) == (None, None, None)


def test_an_unknown_filter_is_kept_as_it_is() -> None:
    """Numbers with a fraction as exact text; nothing is lost in its depth."""
    row = with_filters(LOT, {"filterType": "MOON", "b": 0.10, "a": [{"x": None}, True, 1]})

    assert row.filters[1] == '{"a":[{"x":null},true,1],"b":"0.1","filterType":"MOON"}'
    assert row.step_size == Decimal("0.1")


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ([LOT, LOT], "filter LOT_SIZE is there twice"),
        ([LOT | {"stepSize": "abc"}], r"filter LOT_SIZE: .* `\$.stepSize`"),
        ([LOT | {"stepSize": None}], r"filter LOT_SIZE: .* `\$.stepSize`"),
        ([LOT | {"stepSize": "NaN"}], "LOT_SIZE stepSize NaN is not a number"),
        ([LOT | {"minQty": "-1"}], "LOT_SIZE minQty -1 is below 0"),
        ([LOT | {"maxQty": "1e999999999"}], "LOT_SIZE maxQty .* is not a number"),
        ([{"filterType": "LOT_SIZE"}], "filter LOT_SIZE: .*missing required field `stepSize`"),
        ([{"filterType": "MIN_NOTIONAL"}], "MIN_NOTIONAL: neither notional nor minNotional"),
        ([{"filterType": "MOON", "text": "x" * 5_000}], "a filter of 50.. characters"),
        ([{"filterType": f"N{number}"} for number in range(101)], "101 filters; at most 100"),
        ([None], "Expected `object`, got `null`"),
        ([{"filterType": 7}], "Expected `str`"),
        ([[]], "Expected `object`, got `array`"),
    ],
)
def test_a_rule_that_cannot_be_read_makes_the_row_unusable(
    filters: list[object], reason: str
) -> None:
    """An order would be sized without it."""
    with pytest.raises((msgspec.DecodeError, InvalidValueError), match=reason):
        with_filters(*filters)


NUMBERS_TOO_LARGE = [b"1e99999999", b"1e-99999999", b"1e9999999999999999999", b"9" * 10_000]


@pytest.mark.parametrize("number", NUMBERS_TOO_LARGE, ids=["e+8", "e-8", "e+19", "digits"])
@pytest.mark.parametrize("kind", [b'"LOT_SIZE","stepSize"', b'"MOON","size"'])
def test_a_number_that_does_not_fit_costs_its_row_only(kind: bytes, number: bytes) -> None:
    """Written out it would fill the memory; some of them are no decimals at all."""
    filters = b'[{"filterType":%b:%b}]' % (kind, number)
    row = b'{"symbol":"A","status":"T","quoteAsset":"B","baseAsset":"A","filters":%b}' % filters
    reader = RowReader(lambda _: None)
    read = reader.read_row("GET exchangeInfo", Raw(row), partial(decode_spec, Venue.PERP))

    assert isinstance(read, UnusableRow)
    assert len(read.reason) <= 203


@pytest.mark.parametrize("name", ["symbol", "status", "quoteAsset", "baseAsset", "filters"])
@pytest.mark.parametrize("value", [None, 7, msgspec.UNSET])
def test_a_row_without_what_defines_it_is_unusable(name: str, value: object) -> None:
    """Without filters, every price and quantity would look legal."""
    row = {key: item for key, item in GOOD[Venue.PERP][0].items() if key != name}
    changed = row if value is msgspec.UNSET else row | {name: value}

    with pytest.raises((msgspec.DecodeError, InvalidValueError)):
        decode_spec(Venue.PERP, raw(changed))


def test_the_feed_needs_less_than_the_registry() -> None:
    """A row that is unusable for orders is still a listing with a quote."""
    row = raw({"symbol": "ETHBTC", "status": "TRADING_HALT", "quoteAsset": "BTC", "filters": 7})

    assert decode_listing(Venue.SPOT, row) == Listing(
        InstrumentId(Venue.SPOT, Symbol("ETHBTC")), "BTC", trading=False
    )
    with pytest.raises(msgspec.DecodeError):
        decode_spec(Venue.SPOT, row)


def test_a_contract_keeps_binances_word_for_its_type() -> None:
    """With our kind, where it is known."""
    row = {"symbol": "XAUUSDT", "status": "TRADING", "quoteAsset": "USDT"}
    tradfi = decode_listing(Venue.PERP, raw(row | {"contractType": "TRADIFI_PERPETUAL"}))
    new = decode_listing(Venue.PERP, raw(row | {"contractType": "ETERNAL"}))

    assert tradfi is not None
    assert new is not None
    assert (tradfi.contract_type, tradfi.contract) == ("TRADIFI_PERPETUAL", ContractKind.TRADFI)
    assert (new.contract_type, new.contract) == ("ETERNAL", None)


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["", "NaN", "-1", "1e400", "0", "x" * 5_000, "\u202e", "NEW_VALUE"]),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Venue, bytes]:
    """A row in which one place has another value or is missing; or something that is no row."""
    venue = draw(st.sampled_from(Venue))
    row = msgspec.json.decode(msgspec.json.encode(draw(st.sampled_from(GOOD[venue]))))
    kind = draw(st.sampled_from(["value", "filter", "missing", "junk", "bytes"]))
    name = draw(st.sampled_from(sorted(row)))
    match kind:
        case "value":
            row[name] = draw(JUNK)
        case "missing":
            del row[name]
        case "filter" if row.get("filters"):
            chosen = draw(st.sampled_from(row["filters"]))
            chosen[draw(st.sampled_from(sorted(chosen)))] = draw(JUNK)
        case "junk":
            return venue, msgspec.json.encode(draw(JUNK))
        case _:
            return venue, draw(st.sampled_from([b'"\xff"', b'{"symbol":"\xff"}', b'"\\ud800"']))
    return venue, msgspec.json.encode(row)


GOOD_ROWS = {venue: [raw(row) for row in GOOD[venue]] for venue in Venue}
GOOD_SPECS = {venue: [decode_spec(venue, row) for row in GOOD_ROWS[venue]] for venue in Venue}


@settings(max_examples=150)
@given(mutated(), st.integers(0, 5))
def test_a_mutated_row_costs_no_other_row(mutation: tuple[Venue, bytes], place: int) -> None:
    """It is decoded, or named once with a reason on one line; the others are as they were."""
    venue, changed = mutation
    reported: list[UnusableRow] = []
    reader = RowReader(reported.append)
    listed = [*GOOD_ROWS[venue][:place], Raw(changed), *GOOD_ROWS[venue][place:]]
    decode = partial(decode_spec, venue)
    for _ in range(2):
        specs = [reader.read_row("GET exchangeInfo", row, decode) for row in listed]
    odd = specs.pop(place)

    assert specs == GOOD_SPECS[venue]
    if isinstance(odd, UnusableRow):
        assert reported == [odd]
        assert odd.reason.isprintable()
        assert 0 < len(odd.reason) <= 203
    else:
        assert not reported
        assert odd is None or isinstance(odd, InstrumentSpec)
