"""Market data files: JSON Lines, plain or `.gz` or `.zst`, one combined-stream message per line.

    {"ts": 1772514460893, "venue": "spot", "msg": {"stream": "btcusdt@bookTicker", "data": {...}}}

`ts` is the local receive time, epoch ms; `msg` is the message exactly as the exchange sent it.
Recording, replay and the simulator share this module.
"""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Self, cast

import msgspec
import zstandard
from msgspec import Meta, Raw, Struct

from chimera_s1.adapters.compressed_lines import (
    LINE_BYTES_MAX,
    DecompressionError,
    EndsEarly,
    LineTooLong,
    read_lines,
)
from chimera_s1.domain.errors import PortError, RecordingDamagedError
from chimera_s1.domain.identifiers import Venue

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
_LINE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_envelope_decoder = msgspec.json.Decoder(_Envelope)


class FileCut(Struct, frozen=True):
    """Where a file ends early, as after `kill -9`; *lines* before it are complete."""

    path: Path
    lines: int
    position: int
    within: str

    def __str__(self) -> str:
        return (
            f"{self.path} is cut: it ends at byte {self.position} within {self.within}; "
            f"read up to line {self.lines}"
        )


def read_market_file(
    path: Path,
    *,
    on_damaged: Callable[[int, str], None] | None = None,
    on_cut: Callable[[FileCut], None] | None = None,
) -> Iterator[RecordedMessage]:
    """The messages of *path*, in bounded memory.

    A damaged line is passed to *on_damaged* (line number from 1, and reason) and skipped; the rest
    of a compressed file after damage counts as one line. A cut is passed to *on_cut*.

    Raises:
        RecordingDamagedError: A line is damaged, or the file cut, and nothing takes it; or the file
            cannot be read, or is not a regular file.
    """
    number = 0
    try:
        for line in read_lines(path):
            if isinstance(line, EndsEarly):
                yield from _read_tail(path, number, line, on_cut)
                return
            number += 1
            if message := _read_line(path, number, line, on_damaged):
                yield message
    except DecompressionError as error:
        if on_damaged is None or not number:
            where = f"{path}, after line {number}" if number else f"{path}"
            raise RecordingDamagedError(f"{where}: {error}") from error
        on_damaged(number + 1, f"{error}; the rest of the file is lost")
    except OSError as error:
        raise RecordingDamagedError(f"{path}: {error.strerror}") from error


def _read_line(
    path: Path,
    number: int,
    line: bytes | LineTooLong,
    on_damaged: Callable[[int, str], None] | None,
) -> RecordedMessage | None:
    if isinstance(line, LineTooLong):
        reason = f"longer than {LINE_BYTES_MAX} bytes"
    elif not line.strip():
        return None
    else:
        try:
            return _decode(line)
        except _LINE_ERRORS as error:
            reason = str(error)
    if on_damaged is None:
        raise RecordingDamagedError(f"{path}, line {number}: {reason}")
    on_damaged(number, reason)
    return None


def _read_tail(
    path: Path, lines: int, end: EndsEarly, on_cut: Callable[[FileCut], None] | None
) -> Iterator[RecordedMessage]:
    """The last line may lack its line feed and still be complete."""
    complete = True
    if end.tail.strip():
        try:
            yield _decode(end.tail)
            lines += 1
        except _LINE_ERRORS:
            complete = False
    if complete and end.within == "a line":
        return
    cut = FileCut(path, lines, end.position, end.within)
    if on_cut is None:
        raise RecordingDamagedError(str(cut))
    on_cut(cut)


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

    def flush(self) -> None:
        """Hand everything written to the system: it survives `kill -9` and can be read back."""
        assert self._file is not None, "use the writer as a context manager"
        with self._translate_errors():
            self._file.flush()

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


def _open_for_writing(path: Path) -> BinaryIO:
    match path.suffix:
        case ".gz":
            return cast("BinaryIO", gzip.open(path, "wb", compresslevel=6))
        case ".zst":
            raw = zstandard.ZstdCompressor(level=3).stream_writer(path.open("wb"), closefd=True)
            return cast("BinaryIO", raw)
        case _:
            return path.open("wb")
