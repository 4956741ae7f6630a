"""Prepared bookTicker frames for load tests; only update ids and times are rewritten per send."""

import struct

ROUNDS_PER_BLOB = 100
FIRST_PREFIX = 100_000_000
PREFIX_DIGITS = len(str(FIRST_PREFIX))
TIME_DIGITS = 13
"""Digits of an epoch in ms, from 2001 to 2286."""

_FINAL_TEXT, _TWO_BYTE_LENGTH = 0x81, 126


def symbol_name(number: int) -> str:
    """The n-th symbol of a load test: `F0001USDT`."""
    return f"F{number:04d}USDT"


class FrameBlob:
    """WebSocket frames, 100 rounds over *symbols*, contiguous in `buffer`.

    Frame i of blob k has the update id (1e8 + k) * 1e6 + i, so that ids increase. *timed* frames
    have the USD-M futures format, with an event time.
    """

    def __init__(self, symbols: list[str], *, timed: bool) -> None:
        self.count = len(symbols) * ROUNDS_PER_BLOB
        self.buffer = bytearray()
        self.starts: list[int] = []
        self._ids: list[int] = []
        self._times: list[int] = []
        for number in range(self.count):
            self.starts.append(len(self.buffer))
            self._append(symbols[number % len(symbols)], number, timed=timed)
        self.starts.append(len(self.buffer))

    def stamp_ids(self, number: int) -> None:
        """Write the update ids of blob *number* into the frames."""
        prefix = str(FIRST_PREFIX + number).encode()
        buffer = self.buffer
        for at in self._ids:
            buffer[at : at + PREFIX_DIGITS] = prefix

    def stamp_times(self, first: int, last: int, now_ms: int) -> None:
        """Write the event time into the frames from *first* to *last*, exclusive, if timed."""
        text = str(now_ms).encode()
        for at in self._times[first:last]:
            self.buffer[at : at + TIME_DIGITS] = text

    def _append(self, symbol: str, number: int, *, timed: bool) -> None:
        head = f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":'.encode()
        ids = f"{FIRST_PREFIX}{number:06d}".encode()
        time = b',"st":1,"E":' if timed else b""
        digits = b"0" * TIME_DIGITS if timed else b""
        cents = 2_500_000 + number % 977
        tail = (
            f',"s":"{symbol}","b":"{cents / 100:.8f}","B":"{1 + number % 89}.21000000",'
            f'"a":"{(cents + 1 + number % 7) / 100:.8f}","A":"{1 + number % 83}.66000000"}}}}'
        ).encode()
        length = sum(map(len, (head, ids, time, digits, tail)))
        self.buffer += struct.pack(">BBH", _FINAL_TEXT, _TWO_BYTE_LENGTH, length)
        self._ids.append(len(self.buffer) + len(head))
        if timed:
            self._times.append(len(self.buffer) + len(head) + len(ids) + len(time))
        self.buffer += head + ids + time + digits + tail
