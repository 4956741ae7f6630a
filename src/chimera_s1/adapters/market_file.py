"""Market data files: JSON Lines, plain or `.gz` or `.zst`, one combined-stream message per line.

    {"ts": 1772514460893, "venue": "spot", "msg": {"stream": "btcusdt@bookTicker", "data": {...}}}

`ts` is the local receive time, epoch ms; `msg` is the message exactly as the exchange sent it.
Recording, replay and the simulator share this module.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Self, cast

import msgspec
import zstandard
from msgspec import Meta, Raw, Struct

from chimera_s1.domain.errors import PortError, RecordingDamagedError
from chimera_s1.domain.identifiers import Venue

_BUFFER_BYTES = 1 << 20
_TS_MAX = 253_402_300_799_999  # the last ms of year 9999, where dates end


class RecordedMessage(Struct, frozen=True):
    """One line; *message* is the envelope `{"stream":...,"data":...}`, *data* its payload."""

    ts: int
    venue: Venue
    stream: str
    data: bytes
    message: bytes


class _Line(Struct):
    ts: Annotated[int, Meta(ge=0, le=_TS_MAX)]
    venue: Venue
    msg: Raw


class _Envelope(Struct):
    stream: str
    data: Raw


_line_decoder = msgspec.json.Decoder(_Line)
_envelope_decoder = msgspec.json.Decoder(_Envelope)


def read_market_file(
    path: Path, *, on_damaged: Callable[[int, str], None] | None = None
) -> Iterator[RecordedMessage]:
    """A damaged line is passed to *on_damaged* (line number from 1, and reason) and skipped, or
    raises `RecordingDamagedError`, as does a file that cannot be read.
    """
    number = 0
    try:
        with _open_for_reading(path) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    yield _decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    reason = str(error)
                    if on_damaged is None:
                        raise RecordingDamagedError(f"{path}, line {number}: {reason}") from error
                    on_damaged(number, reason)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        where = f"{path}, after line {number}" if number else f"{path}"
        raise RecordingDamagedError(f"{where}: {error}") from error


class MarketFileWriter:
    """Compresses by the suffix (`.gz`, `.zst`, else plain). Every method may raise `PortError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.messages_written = 0

    def __enter__(self) -> Self:
        with self._translate_errors():
            self._file = _open_for_writing(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with self._translate_errors():
                self._file.close()
            self._file = None

    def write(self, ts: int, venue: Venue, message: bytes) -> None:
        """Append *message*, an envelope `{"stream":...,"data":...}` received at *ts* (epoch ms)."""
        assert self._file is not None, "use the writer as a context manager"
        # In JSON a raw newline is whitespace; in this file it would end the record.
        one_line = message.replace(b"\n", b" ")
        with self._translate_errors():
            self._file.write(b'{"ts":%d,"venue":"%s","msg":%s}\n' % (ts, venue.encode(), one_line))
        self.messages_written += 1

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, zstandard.ZstdError) as error:
            raise PortError(f"cannot write {self._path}: {error}") from error


def _decode(line: bytes) -> RecordedMessage:
    record = _line_decoder.decode(line)
    message = bytes(record.msg)
    envelope = _envelope_decoder.decode(message)
    return RecordedMessage(record.ts, record.venue, envelope.stream, bytes(envelope.data), message)


def _open_for_reading(path: Path) -> BinaryIO:
    match path.suffix:
        case ".gz":
            return cast("BinaryIO", gzip.open(path, "rb"))
        case ".zst":
            raw = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
            return io.BufferedReader(cast("io.RawIOBase", raw), _BUFFER_BYTES)
        case _:
            return path.open("rb")


def _open_for_writing(path: Path) -> BinaryIO:
    match path.suffix:
        case ".gz":
            return cast("BinaryIO", gzip.open(path, "wb", compresslevel=6))
        case ".zst":
            raw = zstandard.ZstdCompressor(level=3).stream_writer(path.open("wb"), closefd=True)
            return cast("BinaryIO", raw)
        case _:
            return path.open("wb")
