"""Lines of a plain, gzip or Zstandard file, in bounded memory.

A small compressed file may hold a line of any length, so neither a line nor a decompressed chunk is
ever kept beyond its bound. Files of several members or frames (`cat a.gz b.gz`) are read as one.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard
from msgspec import Struct

from chimera_s1.adapters.regular_file import open_regular

LINE_BYTES_MAX = 1 << 20

_CHUNK_BYTES = 1 << 16
_ZSTD_FEED_BYTES = 128
"""Its decompressor has no bound on output; 4 bytes of input give at most 128 KiB."""

_GZIP = 16 + zlib.MAX_WBITS


class DecompressionError(Exception):
    """The content is not of the format that the file's name says."""


class LineTooLong(Struct, frozen=True):
    """In place of a line of more than LINE_BYTES_MAX bytes."""


class EndsEarly(Struct, frozen=True):
    """In place of what follows the last complete line.

    Attributes:
        within: What the file ends within: `a gzip member`, `a zstd frame`, `a line`.
        position: The length of the file, bytes.
        tail: What follows the last line feed. Within `a line` it is not empty, and may be complete.
    """

    within: str
    position: int
    tail: bytes


def read_lines(path: Path) -> Iterator[bytes | LineTooLong | EndsEarly]:
    """The lines without their line feeds; an `EndsEarly` comes last.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
        DecompressionError: It is not of the format of its suffix (`.gz`, `.zst`, else plain).
    """
    rest, too_long, within = b"", False, ""
    with open_regular(path) as file:
        for chunk in _chunks(file, path.suffix):
            if isinstance(chunk, str):
                within = chunk
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield LineTooLong() if too_long or len(line) > LINE_BYTES_MAX else line
                too_long = False
            if len(rest) > LINE_BYTES_MAX:
                rest, too_long = b"", True
        if too_long:
            yield LineTooLong()
            rest = b""
        if rest or within:
            yield EndsEarly(within or "a line", file.tell(), rest)


def _chunks(file: BinaryIO, suffix: str) -> Iterator[bytes | str]:
    """Decompressed content; a text, the last, names what the file ends within."""
    match suffix:
        case ".gz":
            return _gunzipped(file)
        case ".zst":
            return _unzstd(file)
        case _:
            return iter(lambda: file.read(_CHUNK_BYTES), b"")


def _gunzipped(file: BinaryIO) -> Iterator[bytes | str]:
    member = None
    while data := file.read(_CHUNK_BYTES):
        while data:
            if member is None:
                data = data.lstrip(b"\0")  # gzip allows padding after a member
                member = zlib.decompressobj(_GZIP) if data else None
                continue
            yield from _inflated(member, data)
            data, member = (member.unused_data, None) if member.eof else (b"", member)
    if member is not None:
        yield "a gzip member"


def _inflated(member: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """All that *data* gives, in chunks."""
    try:
        chunk = member.decompress(data, _CHUNK_BYTES)
        while chunk:
            yield chunk
            chunk = member.decompress(member.unconsumed_tail, _CHUNK_BYTES)
    except zlib.error as error:
        raise DecompressionError(f"not gzip, or damaged ({error})") from error


def _unzstd(file: BinaryIO) -> Iterator[bytes | str]:
    frame, parts, size = None, list[bytes](), 0
    while data := file.read(_ZSTD_FEED_BYTES):
        while data:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                parts.append(frame.decompress(data))
            except zstandard.ZstdError as error:
                yield b"".join(parts)
                raise DecompressionError(f"not zstd, or damaged ({error})") from error
            size += len(parts[-1])
            if size >= _CHUNK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
            data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    yield b"".join(parts)
    if frame is not None:
        yield "a zstd frame"
