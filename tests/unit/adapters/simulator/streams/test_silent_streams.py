"""The reason why an acknowledged stream delivers nothing."""

import pytest

from chimera_s1.adapters.simulator.streams.silent_streams import reason_for_silence
from chimera_s1.adapters.simulator.streams.stream_names import parse_stream
from chimera_s1.domain.identifiers import Venue

SPOT, PERP = Venue.SPOT, Venue.PERP


def reason(venue: Venue, name: str, *, listed: bool = True) -> str:
    return reason_for_silence(venue, name, parse_stream(venue, name), listed=listed)


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        (SPOT, "btcusdt@trade"),
        (SPOT, "btcusdt@kline_1m"),
        (SPOT, "btcusdt@kline_1s"),
        (SPOT, "btcusdt@kline_1d@+08:00"),
        (SPOT, "btcusdt@ticker"),
        (SPOT, "btcusdt@ticker_4h"),
        (SPOT, "btcusdt@avgPrice"),
        (SPOT, "!miniTicker@arr"),
        (SPOT, "!ticker_1h@arr"),
        (PERP, "btcusdt@trade"),
        (PERP, "btcusdt@forceOrder"),
        (PERP, "btcusdt_perpetual@continuousKline_1m"),
        (PERP, "btcusdt@rpiDepth@500ms"),
        (PERP, "!ticker@arr"),
        (PERP, "!forceOrder@arr"),
        (PERP, "!assetIndex@arr"),
        (PERP, "\u5e01\u5b89usdt@kline_1h"),
    ],
)
def test_streams_of_binance_that_are_missing_here_are_told_from_misspelt_ones(
    venue: Venue, name: str
) -> None:
    assert reason(venue, name).startswith("Binance has this stream, the simulator has not")


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        (SPOT, "BTCUSDT@trade"),
        (SPOT, "btcusdt@kline_7m"),
        (SPOT, "btcusdt@forceOrder"),
        (SPOT, "!ticker@arr"),
        (SPOT, "btcusdt"),
        (PERP, "btcusdt@avgPrice"),
        (PERP, "btcusdt@depth@250ms"),
    ],
)
def test_what_binance_does_not_have_either_is_said(venue: Venue, name: str) -> None:
    assert reason(venue, name).startswith("no such stream at Binance either")


def test_a_stream_on_the_wrong_path_names_the_right_one() -> None:
    assert reason(PERP, "btcusdt@markPrice").startswith("delivered under /market only")
    assert reason(PERP, "btcusdt@bookTicker").startswith("delivered under /public only")


def test_a_symbol_that_is_not_listed_is_named() -> None:
    assert reason(SPOT, "nopeusdt@bookTicker", listed=False).startswith("NOPEUSDT is not listed")
