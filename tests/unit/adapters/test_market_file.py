"""Market data files: round trip, compression and damage."""

import gzip
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.market_file import MarketFileWriter, RecordedMessage, read_market_file
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
    path = tmp_path_factory.mktemp("recording") / name
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


def test_a_truncated_gzip_file_is_read_up_to_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl.gz"
    content = gzip.compress((GOOD + b"\n") * 3)
    path.write_bytes(content[:-8])
    records = read_market_file(path)

    assert [next(records).ts for _ in range(3)] == [1, 1, 1]
    with pytest.raises(RecordingDamagedError, match="after line 3"):
        next(records)


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
