from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from chimera_s1.adapters.market_file import MarketFileWriter, read_market_file
from chimera_s1.app.cli.record.run import MessageRecorder
from chimera_s1.app.cli.replay.command import parse_speed
from chimera_s1.app.cli.tail.table import (
    ALL_COLUMNS,
    Pages,
    Row,
    columns_that_fit,
    parse_columns,
    quote_table,
    row_of,
)
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError, PortError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.quote_reader import PublishedQuote

MESSAGE = b'{"stream":"btcusdt@bookTicker","data":{"u":1}}'


@pytest.mark.parametrize(
    ("mid", "shown"), [("28.314500000000002", "28.3145"), ("0.000025145", "0.000025145")]
)
def test_a_row_shows_the_entry_and_its_age(mid: str, shown: str) -> None:
    quote = PublishedQuote(
        entry_id="1772514460893-0",
        instrument=InstrumentId.parse("spot/BTCUSDT"),
        fields=(
            ("ts", "1772514460000"),
            ("symbol", "BTCUSDT"),
            ("bid1", "28.314"),
            ("ask1", "28.315"),
            ("mid", mid),
            ("spread_bps", "0.35317593"),
            ("top1_qty", "1"),
            ("top1_usdt", "1197930.4"),
            ("src", "binance.spot.bookTicker"),
        ),
    )
    row = row_of(quote, "STALE", now_ms=1772514460893)
    assert row.instrument == "spot/BTCUSDT"
    assert row.cells == {
        "bid": "28.314",
        "ask": "28.315",
        "mid": shown,
        "spread": "0.35",
        "top1": "1,197,930",
        "age": "893",
        "state": "STALE",
        "source": "binance.spot.bookTicker",
    }


ROWS = [
    Row(
        f"spot/1000PEPE{number}USDT",
        "1772514460893-0",
        {
            "bid": "0.00002514523",
            "ask": "0.00002514524",
            "mid": "0.000025145235",
            "spread": "0.35",
            "top1": "1,197,930",
            "age": "893",
            "state": "LIVE" if number else "STALE",
            "source": "binance.spot.bookTicker",
        },
    )
    for number in range(7)
]


@pytest.mark.parametrize("width", range(40, 150))
def test_a_column_is_left_out_whole_and_no_figure_is_cut(width: int) -> None:
    output = StringIO()
    columns = columns_that_fit(ROWS, ALL_COLUMNS, width)
    Console(file=output, width=width).print(quote_table(ROWS, columns))

    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in output.getvalue()
    assert columns[0] == "bid"
    if width >= 50:
        assert len(lines) == len(ROWS) + 4  # no cell is folded


def test_80_columns_have_room_for_bid_ask_age_and_state() -> None:
    assert columns_that_fit(ROWS, ALL_COLUMNS, 80) == ("bid", "ask", "age", "state")
    assert columns_that_fit(ROWS, ALL_COLUMNS, 50) == ("bid", "state")
    assert columns_that_fit(ROWS, ALL_COLUMNS, 200) == ALL_COLUMNS


def test_a_quote_that_is_not_to_be_trusted_has_a_colour() -> None:
    output = StringIO()
    console = Console(file=output, width=200, force_terminal=True, color_system="standard")
    console.print(quote_table(ROWS, ALL_COLUMNS))
    coloured = [line for line in output.getvalue().splitlines() if "\x1b[33m" in line]
    assert len(coloured) == 1
    assert "STALE" in coloured[0]


def test_pages_show_every_row_and_turn_around() -> None:
    pages = Pages()
    seen: list[Row] = []
    for number in (1, 2, 3):
        shown, label = pages.of(ROWS, 3)
        assert label == f"page {number} of 3"
        seen += shown
        pages.turn(1)
    assert seen == ROWS
    assert pages.of(ROWS, 3)[1] == "page 1 of 3"
    pages.turn(-1)
    assert pages.of(ROWS, 3) == (ROWS[6:], "page 3 of 3")
    assert pages.of(ROWS, 7) == (ROWS, "")


@pytest.mark.parametrize("text", ["", "bid,price", ","])
def test_an_unknown_column_is_an_error_with_the_known_ones(text: str) -> None:
    with pytest.raises(InvalidValueError, match="name some of bid, ask, mid"):
        parse_columns(text)


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("60", 60.0), ("max", None)])
def test_a_speed_is_a_factor_or_max(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", ""])
def test_an_invalid_speed_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write a number above 0, like 1 or 60, or max"):
        parse_speed(text)


def test_a_recorder_stops_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with MarketFileWriter(path) as writer:
        recorder = MessageRecorder(writer, messages_max=2)
        for received_ms in (1, 2, 3):
            recorder.write(Venue.SPOT, MESSAGE, received_ms)
    assert recorder.done.is_set()
    assert recorder.failure is None
    assert [record.ts for record in read_market_file(path)] == [1, 2]


def test_a_recorder_keeps_a_write_error_and_raises_nothing() -> None:
    """The full device stands for a full disk: writes to it fail with ENOSPC."""
    with suppress(PortError), MarketFileWriter(Path("/dev/full")) as writer:
        recorder = MessageRecorder(writer, messages_max=None)
        while not recorder.done.is_set():
            recorder.write(Venue.SPOT, MESSAGE * 1000, 1)
    assert str(recorder.failure).startswith("cannot write /dev/full: ")
