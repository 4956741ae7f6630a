"""A minimal receiver as a baseline: the service's WebSocket client and almost nothing else.

    python -m tests.load.receiver --port 41123 --symbols 200 --read-ms 50

Prints a JSON line per period with the totals of messages and CPU seconds.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import anyio
import msgspec
import orjson
from msgspec import Struct
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tests.load.book_frames import symbol_name

NAMES_PER_MESSAGE = 200
_NAME_AT = len(b'{"stream":"')


class ReceiverStats(Struct, frozen=True):
    """Totals, one line of output."""

    messages: int
    cpu_s: float
    at_s: float


class Newest(WSListener):
    """Keeps the newest bytes of each stream; if *timed*, reading pauses after each read."""

    def __init__(self, *, timed: bool) -> None:
        self.messages = 0
        self.latest: dict[bytes, bytes] = {}
        self.resting = False
        self._timed = timed

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.keep(frame.get_payload_as_bytes())
            if self._timed and frame.last_in_buffer:
                transport.underlying_transport.pause_reading()
                self.resting = True

    def keep(self, payload: bytes) -> None:
        self.messages += 1
        self.latest[payload[_NAME_AT : payload.find(b'"', _NAME_AT)]] = payload


class Decoding(Newest):
    """Decodes every message with orjson, as most receivers do."""

    def __init__(self, *, timed: bool) -> None:
        super().__init__(timed=timed)
        self.decoded: dict[str | None, object] = {}

    def keep(self, payload: bytes) -> None:
        self.messages += 1
        message = orjson.loads(payload)
        self.decoded[message.get("stream")] = message.get("data")


async def receive(given: argparse.Namespace) -> None:
    listener = (Decoding if given.decode else Newest)(timed=given.read_ms > 0)
    transport, _ = await ws_connect(lambda: listener, f"ws://127.0.0.1:{given.port}/stream")
    names = [f"{symbol_name(number).lower()}@bookTicker" for number in range(given.symbols)]
    for start in range(0, len(names), NAMES_PER_MESSAGE):
        request = {
            "method": "SUBSCRIBE",
            "params": names[start : start + NAMES_PER_MESSAGE],
            "id": start // NAMES_PER_MESSAGE + 1,
        }
        transport.send(WSMsgType.TEXT, msgspec.json.encode(request))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_report, listener, given.period)
        while True:
            await anyio.sleep(given.read_ms / 1000 or 1)
            if listener.resting:
                listener.resting = False
                transport.underlying_transport.resume_reading()


async def _report(listener: Newest, period_s: float) -> None:
    while True:
        await anyio.sleep(period_s)
        stats = ReceiverStats(listener.messages, time.process_time(), time.monotonic())
        sys.stdout.write(msgspec.json.encode(stats).decode() + "\n")
        sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A receiver that does almost nothing.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--decode", action="store_true", help="decode every message")
    parser.add_argument("--read-ms", type=float, default=0, help="between reads; 0 at once")
    parser.add_argument("--period", type=float, default=1, help="s between reports")
    given = parser.parse_args(arguments)
    anyio.run(receive, given, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
