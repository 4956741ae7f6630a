from contextlib import suppress
from pathlib import Path

import pytest

from chimera_s1.adapters.market_file import MarketFileWriter, read_market_file
from chimera_s1.app.cli.record.run import MessageRecorder
from chimera_s1.app.cli.replay.command import parse_speed
from chimera_s1.app.cli.tail.run import cells
from chimera_s1.domain.errors import ConfigurationError, PortError
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
    assert cells(quote, now_ms=1772514460893) == (
        "spot/BTCUSDT",
        "28.314",
        "28.315",
        shown,
        "0.35",
        "1,197,930",
        "893",
        "binance.spot.bookTicker",
    )


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
