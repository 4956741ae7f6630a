"""Load generator: sends book frames at a fixed rate or as fast as one core allows.

    python -m tests.load.flood --symbols 200 --rate 0      # unpaced; prints {"port": ...}

One port serves exchangeInfo and time over HTTP, WebSocket handshakes, SUBSCRIBE and pings, and then
sends bookTicker frames of the subscribed symbols in turn.
"""

import argparse
import base64
import hashlib
import itertools
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from chimera_s1.adapters.system.system_clock import SystemClock
from tests.load.book_frames import FrameBlob, symbol_name

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
CHUNK_BYTES = 1 << 18
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
IDLE_S = 0.0002
SLICE_FRAMES = 1_000
"""Most frames per send if the receiver lags; pings are answered after each send."""

SUBSCRIBE_QUIET_S = 0.5
"""Frames start after this time without a further SUBSCRIBE."""

_clock = SystemClock()
_blob_numbers = itertools.count(1)  # shared by all connections: ids increase across reconnects


class Load(Struct, frozen=True):
    """The load to send; *rate* is messages/s over all symbols, 0 for unpaced.

    `perp` frames carry the time of sending as event time.
    """

    symbols: tuple[str, ...]
    rate: float
    venue: str

    def response_body(self, path: str) -> object:
        """The REST response for *path*."""
        if path.endswith("/time"):
            return {"serverTime": _clock.now_ms()}
        return {"symbols": [_listing(symbol) for symbol in self.symbols]}


def _listing(symbol: str) -> dict[str, object]:
    """What the registry needs; without it no feed begins."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0", "maxPrice": "0"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0", "maxQty": "0"},
            {"filterType": "NOTIONAL", "minNotional": "5"},
        ],
    }


class Session:
    """One accepted connection: HTTP requests until a WebSocket upgrade."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self._socket = connection
        self._load = load
        self._inbox = bytearray()

    def run(self) -> None:
        with self._socket:
            try:
                self._serve_http()
                streams = self._await_subscriptions()
                symbols = [s for s in self._load.symbols if f"{s.lower()}@bookTicker" in streams]
                blob = FrameBlob(symbols, timed=self._load.venue == "perp")
                if self._load.rate:
                    self._send_paced(blob, self._load.rate * len(symbols) / len(self._load.symbols))
                else:
                    self._send_unpaced(blob)
            except OSError:
                return

    def _serve_http(self) -> None:
        while True:
            request, headers = self._request()
            key = headers.get("sec-websocket-key")
            if key is not None:
                accept = base64.b64encode(hashlib.sha1(key.encode() + GUID.encode()).digest())
                self._socket.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
                )
                return
            body = msgspec.json.encode(
                self._load.response_body(request.split(" ")[1].partition("?")[0])
            )
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self._socket.sendall(head.encode() + body)

    def _request(self) -> tuple[str, dict[str, str]]:
        """The request line and the headers, streams in lower case."""
        while b"\r\n\r\n" not in self._inbox:
            self._receive()
        head, _, rest = bytes(self._inbox).partition(b"\r\n\r\n")
        self._inbox = bytearray(rest)
        request, *lines = head.decode().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return request, {name.lower(): value.strip() for name, _, value in pairs}

    def _await_subscriptions(self) -> set[str]:
        """Acknowledge SUBSCRIBE requests until they cease; returns the stream names."""
        streams: set[str] = set()
        while not streams or select.select([self._socket], [], [], SUBSCRIBE_QUIET_S)[0]:
            self._receive()
            for payload in self._frames():
                request = msgspec.json.decode(payload)
                streams.update(request["params"])
                self._send(TEXT, msgspec.json.encode({"result": None, "id": request["id"]}))
        return streams

    def _send_unpaced(self, blob: FrameBlob) -> None:
        while True:
            blob.stamp_ids(next(_blob_numbers))
            blob.stamp_times(0, blob.count, _clock.now_ms())
            with memoryview(blob.buffer) as view:
                for at in range(0, len(view), CHUNK_BYTES):
                    self._socket.sendall(view[at : at + CHUNK_BYTES])
            # A chunk may end within a frame, so pings are answered only after a whole blob.
            self._answer_pings()

    def _send_paced(self, blob: FrameBlob, rate: float) -> None:
        started, sent = time.perf_counter(), 0
        while True:
            blob.stamp_ids(next(_blob_numbers))
            at = 0
            while at < blob.count:
                due = int((time.perf_counter() - started) * rate) - sent
                if due <= 0:
                    self._answer_pings()
                    time.sleep(min(IDLE_S, 1 / rate))
                    continue
                upto = min(at + due, at + SLICE_FRAMES, blob.count)
                blob.stamp_times(at, upto, _clock.now_ms())
                with memoryview(blob.buffer) as view:
                    self._socket.sendall(view[blob.starts[at] : blob.starts[upto]])
                sent += upto - at
                at = upto
                self._answer_pings()

    def _answer_pings(self) -> None:
        if select.select([self._socket], [], [], 0)[0]:
            self._receive()
            for _ in self._frames():
                pass

    def _receive(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError
        self._inbox += data

    def _frames(self) -> list[bytes]:
        """Remove complete frames from the inbox; answers pings, returns text payloads."""
        texts: list[bytes] = []
        while len(self._inbox) >= 6:
            kind, length, at = self._inbox[0] & 15, self._inbox[1] & 127, 2
            if length == 126:
                (length,), at = struct.unpack_from(">H", self._inbox, 2), 4
            if len(self._inbox) < at + 4 + length:
                break
            mask = self._inbox[at : at + 4]
            masked = self._inbox[at + 4 : at + 4 + length]
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))
            del self._inbox[: at + 4 + length]
            if kind == PING:
                self._send(PONG, payload)
            elif kind == CLOSE:
                raise ConnectionError
            elif kind == TEXT:
                texts.append(payload)
        return texts

    def _send(self, kind: int, payload: bytes) -> None:
        self._socket.sendall(bytes([0x80 | kind, len(payload)]) + payload)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A sender of book frames")
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0, help="messages/s in all; 0: unpaced")
    parser.add_argument("--venue", choices=["spot", "perp"], default="spot")
    given = parser.parse_args(arguments)
    load = Load(tuple(map(symbol_name, range(given.symbols))), given.rate, given.venue)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f'{{"port": {listener.getsockname()[1]}}}\n')
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Session(connection, load).run, daemon=True).start()


if __name__ == "__main__":
    main()
