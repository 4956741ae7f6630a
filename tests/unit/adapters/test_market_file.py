"""Market data files: round trip, compression and damage."""

import gzip
import os
import re
import tracemalloc
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.compressed_lines import LINE_BYTES_MAX
from chimera_s1.adapters.market_file import (
    FileCut,
    MarketFileWriter,
    RecordedMessage,
    read_market_file,
)
from chimera_s1.domain.errors import PortError, RecordingDamagedError
from chimera_s1.domain.identifiers import Venue
from tests.unit.domain.strategies import epoch_ms, venues

NAMES = ("market.jsonl", "market.jsonl.gz", "market.jsonl.zst")
GOOD = b'{"ts":1,"venue":"spot","msg":{"stream":"a@bookTicker","data":{"u":1}}}'

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)
messages = st.builds(
    lambda ts, venue, stream, data: (ts, venue, stream, msgspec.json.encode(data)),
    epoch_ms,
    venues,
    st.text(),
    json_values,
)


def envelope(stream: str, data: bytes) -> bytes:
    return b'{"stream":%s,"data":%s}' % (msgspec.json.encode(stream), data)


def compressed(path: Path, content: bytes) -> None:
    match path.suffix:
        case ".gz":
            content = gzip.compress(content)
        case ".zst":
            content = zstandard.compress(content)
        case _:
            pass
    path.write_bytes(content)


@pytest.mark.parametrize("name", NAMES)
@given(written=st.lists(messages, max_size=20))
def test_messages_written_are_read_back(
    name: str,
    written: list[tuple[int, Venue, str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / name  # one file for all examples
    with MarketFileWriter(path) as writer:
        for ts, venue, stream, data in written:
            writer.write(ts, venue, envelope(stream, data))

    assert writer.messages_written == len(written)
    assert list(read_market_file(path)) == [
        RecordedMessage(ts, venue, stream, data, envelope(stream, data))
        for ts, venue, stream, data in written
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_suffix_decides_the_compression(name: str, tmp_path: Path) -> None:
    """Other tools can open the file."""
    path = tmp_path / name
    with MarketFileWriter(path) as writer:
        writer.write(1, Venue.SPOT, envelope("a@bookTicker", b'{"u":1}'))

    content = path.read_bytes()
    match path.suffix:
        case ".gz":
            content = gzip.decompress(content)
        case ".zst":
            content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
        case _:
            pass
    assert content == GOOD + b"\n"


def test_a_message_on_several_lines_is_still_one_record(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl"
    with MarketFileWriter(path) as writer:
        writer.write(1, Venue.PERP, b'{"stream":\n"a@depth5",\r\n"data":[\n1]}')
        writer.write(2, Venue.PERP, envelope("a@depth5", b"[2]"))

    assert [(r.ts, msgspec.json.decode(r.data)) for r in read_market_file(path)] == [
        (1, [1]),
        (2, [2]),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_error_for_an_unwritable_file_has_its_name(name: str, tmp_path: Path) -> None:
    with (
        pytest.raises(PortError, match=f"cannot write .*{name}"),
        MarketFileWriter(tmp_path / "no" / name),
    ):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_concatenated_files_are_read_as_one(name: str, tmp_path: Path) -> None:
    """`cat a.zst b.zst` is a valid recording."""
    part, whole = tmp_path / f"part-{name}", tmp_path / name
    compressed(part, GOOD + b"\n")
    whole.write_bytes(part.read_bytes() * 3)

    assert len(list(read_market_file(whole))) == 3


def test_blank_lines_and_unknown_keys_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl"
    path.write_bytes(b"\n" + GOOD[:-1] + b',"note":"x"}\n  \r\n' + GOOD)

    assert len(list(read_market_file(path))) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        b"not json",
        b"[]",
        GOOD[:-1],
        GOOD + b"x",
        GOOD.replace(b"spot", b"margin"),
        GOOD.replace(b'"ts":1', b'"ts":"1"'),
        GOOD.replace(b'"ts":1', b'"ts":1.5'),
        GOOD.replace(b'"ts":1', b'"ts":-1'),
        GOOD.replace(b'"ts":1', b'"ts":253402300800000'),
        GOOD.replace(b'"ts":1', b'"ts":' + b"9" * 5000),
        GOOD.replace(b"stream", b"topic"),
        GOOD.replace(b"data", b"payload"),
        GOOD.replace(b"a@", b"\xff@"),
        b"[" * 200_000,
        GOOD.replace(b'{"u":1}', b"[" * 200_000),
    ],
)
def test_a_damaged_line_raises_or_is_reported_and_skipped(damaged: bytes, tmp_path: Path) -> None:
    """Without *on_damaged* the first damaged line raises with its number; with it, the rest is
    read.
    """
    path = tmp_path / "market.jsonl"
    path.write_bytes(b"\n".join([GOOD, damaged, GOOD]))
    seen: list[int] = []

    assert len(list(read_market_file(path, on_damaged=lambda number, _: seen.append(number)))) == 2
    assert seen == [2]
    with pytest.raises(RecordingDamagedError, match=r"market\.jsonl, line 2: ."):
        list(read_market_file(path))


def numbered(count: int) -> list[bytes]:
    line = b'{"ts":%d,"venue":"spot","msg":{"stream":"a","data":{}}}\n'
    return [line % number for number in range(count)]


def read_to_the_cut(path: Path) -> tuple[list[int], list[FileCut]]:
    cuts: list[FileCut] = []
    return [record.ts for record in read_market_file(path, on_cut=cuts.append)], cuts


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_two_members_cut_anywhere_is_read_up_to_the_cut(
    name: str, tmp_path: Path
) -> None:
    part, whole = tmp_path / f"part-{name}", tmp_path / name
    members = []
    for lines in (numbered(12)[:6], numbered(12)[6:]):
        compressed(part, b"".join(lines))
        members.append(part.read_bytes())
    content = b"".join(members)
    complete_at = {len(members[0]), len(content)}
    if path_is_plain := whole.suffix == ".jsonl":
        ends = [found.end() for found in re.finditer(rb"\n", content)]
        complete_at = {*ends, *(end - 1 for end in ends)}
    for length in range(1, len(content) + 1):
        whole.write_bytes(content[:length])
        read, cuts = read_to_the_cut(whole)
        assert read == list(range(len(read)))
        assert path_is_plain or len(read) >= 6 * (length >= len(members[0]))
        assert [(cut.lines, cut.position) for cut in cuts] == (
            [] if length in complete_at else [(len(read), length)]
        )
    assert read == list(range(12))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_flushed_is_read_back_without_the_end_of_the_file(
    name: str, tmp_path: Path
) -> None:
    """As after `kill -9`: the writer is never closed."""
    path, killed = tmp_path / name, tmp_path / f"killed-{name}"
    with MarketFileWriter(path) as writer:
        for ts in range(3):
            writer.write(ts, Venue.SPOT, envelope("a@bookTicker", b"%d" % ts))
        writer.flush()
        writer.write(3, Venue.SPOT, envelope("a@bookTicker", b"3"))
        killed.write_bytes(path.read_bytes())

    read, cuts = read_to_the_cut(killed)

    assert read[:3] == [0, 1, 2]
    assert [cut.lines for cut in cuts] == ([] if path.suffix == ".jsonl" else [3])


def test_a_cut_that_nothing_takes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl.gz"
    path.write_bytes(gzip.compress((GOOD + b"\n") * 3)[:-8])
    records = read_market_file(path)

    assert [next(records).ts for _ in range(3)] == [1, 1, 1]
    with pytest.raises(RecordingDamagedError, match=r"cut: .* within a gzip member; .* line 3"):
        next(records)


def test_a_last_line_without_its_line_feed_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl"
    path.write_bytes(GOOD + b"\n" + GOOD)

    assert read_to_the_cut(path) == ([1, 1], [])


@pytest.mark.parametrize("name", NAMES)
def test_a_line_longer_than_the_bound_is_damaged_and_takes_no_memory(
    name: str, tmp_path: Path
) -> None:
    """48 MiB in one line; the peak covers the compressor's and Python's own buffers."""
    path = tmp_path / name
    one_line(path, 48)
    seen: list[tuple[int, str]] = []
    tracemalloc.start()

    read = list(read_market_file(path, on_damaged=lambda *line: seen.append(line)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [record.ts for record in read] == [1, 1]
    assert seen == [(2, "longer than 1048576 bytes")]
    assert peak < 24 * LINE_BYTES_MAX


def one_line(path: Path, mebibytes: int) -> None:
    """GOOD, a line of zeros, GOOD; small on disk in each format (a plain file has a hole)."""
    zeros = bytes(1 << 20)
    match path.suffix:
        case ".gz":
            with gzip.open(path, "wb", compresslevel=1) as file:
                file.writelines([GOOD + b"\n", *[zeros] * mebibytes, b"\n" + GOOD + b"\n"])
        case ".zst":
            with path.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as writer:
                for part in [GOOD + b"\n", *[zeros] * mebibytes, b"\n" + GOOD + b"\n"]:
                    writer.write(part)
        case _:
            with path.open("wb") as plain:
                plain.write(GOOD + b"\n")
                plain.seek(mebibytes << 20, os.SEEK_CUR)
                plain.write(b"\n" + GOOD + b"\n")


@pytest.mark.parametrize("name", NAMES[1:])
def test_damage_within_a_compressed_file_ends_it(name: str, tmp_path: Path) -> None:
    """As a cut file with another one appended."""
    path = tmp_path / name
    compressed(path, b"".join(numbered(3)))
    path.write_bytes(path.read_bytes() + b"garbage, no member")
    seen: list[tuple[int, str]] = []

    assert len(list(read_market_file(path, on_damaged=lambda *line: seen.append(line)))) == 3
    assert [(number, "rest of the file is lost" in reason) for number, reason in seen] == [
        (4, True)
    ]
    with pytest.raises(RecordingDamagedError, match="after line 3: not "):
        list(read_market_file(path))


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_file_in_another_format_than_its_suffix_is_damaged(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD * 10)

    with pytest.raises(RecordingDamagedError, match=path.name):
        list(read_market_file(path))


@pytest.mark.parametrize("name", NAMES)
def test_the_error_for_a_missing_recording_has_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingDamagedError, match=name):
        list(read_market_file(tmp_path / name))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_recording_has_no_messages(name: str, tmp_path: Path) -> None:
    with MarketFileWriter(tmp_path / name):
        pass

    assert not list(read_market_file(tmp_path / name))
