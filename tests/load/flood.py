"""
A sender of book frames as fast as one core can, or at an exact pace: the load of the benchmarks.

    python -m tests.load.flood --symbols 200 --rate 0      # unpaced; prints {"port": ...}

It answers the WebSocket handshake, acknowledges SUBSCRIBE, answers pings, and then sends spot
bookTicker frames of every symbol in turn. Frames are rendered once; each further round only gets
a new prefix in its update ids, so that the sender costs less than any receiver.
"""

import argparse
import base64
import hashlib
import json
import select
import socket
import struct
import threading
import time

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
ROUNDS_PER_BLOB = 100
FIRST_PREFIX = 100_000_000
PREFIX_DIGITS = len(str(FIRST_PREFIX))
CHUNK_BYTES = 1 << 18
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
SPIN_BELOW_S = 0.0002


def symbol_name(number: int) -> str:
    """The n-th symbol of a flood: `F0001USDT`."""
    return f"F{number:04d}USDT"


class Blob:
    """
    Pre-rendered frames, *symbols* x 100 rounds; the update id of frame i of blob k is (1e8 + k) * 1e6 + i.
    """

    def __init__(self, symbols: list[str]) -> None:
        self.frames = len(symbols) * ROUNDS_PER_BLOB
        self.buffer = bytearray()
        self._prefix_at: list[int] = []
        self.starts: list[int] = []
        for number in range(self.frames):
            self.starts.append(len(self.buffer))
            frame, prefix_at = render(symbols[number % len(symbols)], number)
            self._prefix_at.append(len(self.buffer) + prefix_at)
            self.buffer += frame
        self.starts.append(len(self.buffer))

    def stamp(self, number: int) -> None:
        """Give every frame the ids of blob *number*."""
        prefix = str(FIRST_PREFIX + number).encode()
        buffer = self.buffer
        for at in self._prefix_at:
            buffer[at : at + PREFIX_DIGITS] = prefix


def render(symbol: str, number: int) -> tuple[bytes, int]:
    """One WebSocket frame and where its update id begins."""
    cents = 2_500_000 + number % 977
    head = f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":'.encode()
    ids = f"{FIRST_PREFIX}{number:06d}".encode()
    tail = (
        f',"s":"{symbol}","b":"{cents / 100:.8f}","B":"{1 + number % 89}.21000000",'
        f'"a":"{(cents + 1 + number % 7) / 100:.8f}","A":"{1 + number % 83}.66000000"}}}}'
    ).encode()
    payload = head + ids + tail
    header = bytes([0x80 | TEXT, 126]) + struct.pack(">H", len(payload))
    return header + payload, len(header) + len(head)


class Sender:
    """One accepted connection."""

    def __init__(self, connection: socket.socket, symbols: list[str], rate: float) -> None:
        self._socket = connection
        self._symbols = symbols
        self._rate = rate
        self._inbox = bytearray()

    def run(self) -> None:
        """Serve the connection until the client goes."""
        try:
            self._handshake()
            names = self._await_subscriptions()
            wanted = [s for s in self._symbols if f"{s.lower()}@bookTicker" in names]
            blob = Blob(wanted)
            if self._rate:
                self._send_paced(blob)
            else:
                self._send_unpaced(blob)
        except OSError:
            return
        finally:
            self._socket.close()

    def _handshake(self) -> None:
        while b"\r\n\r\n" not in self._inbox:
            self._receive()
        head, _, rest = bytes(self._inbox).partition(b"\r\n\r\n")
        self._inbox = bytearray(rest)
        key = next(
            line.partition(b":")[2].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + GUID.encode()).digest()).decode()
        self._socket.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    def _await_subscriptions(self) -> set[str]:
        """Names asked for until nothing more comes for half a second."""
        names: set[str] = set()
        while not names or select.select([self._socket], [], [], 0.5)[0]:
            self._receive()
            for payload in self._frames():
                request = json.loads(payload)
                names.update(request["params"])
                self._send(TEXT, json.dumps({"result": None, "id": request["id"]}).encode())
        return names

    def _send_unpaced(self, blob: Blob) -> None:
        number = 0
        while True:
            number += 1
            blob.stamp(number)
            view = memoryview(blob.buffer)
            for at in range(0, len(view), CHUNK_BYTES):
                # Between chunks a frame may be half sent: pings are answered at a blob's end.
                self._socket.sendall(view[at : at + CHUNK_BYTES])
            view.release()
            self._answer()

    def _send_paced(self, blob: Blob) -> None:
        started, sent, number = time.perf_counter(), 0, 0
        while True:
            number += 1
            blob.stamp(number)
            view = memoryview(blob.buffer)
            at = 0
            while at < blob.frames:
                due = int((time.perf_counter() - started) * self._rate) - sent
                if due <= 0:
                    self._answer()
                    time.sleep(min(SPIN_BELOW_S, 1 / self._rate))
                    continue
                upto = min(at + due, blob.frames)
                self._socket.sendall(view[blob.starts[at] : blob.starts[upto]])
                sent += upto - at
                at = upto
            view.release()

    def _answer(self) -> None:
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
        """Whole text frames in the inbox; pings are answered on the way."""
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


def main() -> None:
    """Listen, print the port, serve each connection in a thread."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0, help="messages/s a connection; 0 unpaced")
    arguments = parser.parse_args()
    symbols = [symbol_name(number) for number in range(arguments.symbols)]
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)  # noqa: T201
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sender = Sender(connection, symbols, arguments.rate)
        threading.Thread(target=sender.run, daemon=True).start()


if __name__ == "__main__":
    main()
