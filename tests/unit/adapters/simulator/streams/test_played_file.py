"""The defects of a file that is played are logged once, however often it is repeated."""

import logging
from pathlib import Path

import pytest

from chimera_s1.adapters.simulator.streams.playback import PlayedFile, symbols_in

GOOD = b'{"ts":1,"venue":"spot","msg":{"stream":"btcusdt@bookTicker","data":{"u":1}}}\n'


def test_a_cut_file_is_played_up_to_the_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "market.jsonl"
    path.write_bytes(GOOD + b"bad\n" * 7 + GOOD + GOOD[:20])
    played = PlayedFile(path)

    with caplog.at_level(logging.WARNING):
        first = list(played.records())
        logged = list(caplog.messages)
        again = list(played.records())

    assert len(first) == 2
    assert again == first
    assert caplog.messages == logged
    assert [message.partition(" of the file")[0] for message in logged[:5]] == [
        f"playback: line {number}" for number in range(2, 7)
    ]
    cut = f"{path} is cut: it ends at byte {path.stat().st_size} within a line; read up to line 9"
    assert logged[5:] == [f"playback: {cut}", "playback: 7 lines of the file skipped in all"]


def test_the_symbols_of_a_cut_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl"
    path.write_bytes(GOOD + GOOD[:20])

    assert symbols_in(path) == ("BTCUSDT",)
