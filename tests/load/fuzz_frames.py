"""Mutated frames against the decoders: `make soak`, or alone `python -m tests.load.fuzz_frames`.

Documented Binance frames are damaged at random and passed to every decoder of external bytes: book
frames, control messages, lines of market data files. A failure is an unexpected exception or a
quote that must not be published. The printed seed and the number of executions reproduce a run.
"""

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.streams.book_frames import (
    EVENT_AGE_MAX_MS,
    BookFrames,
    BookStream,
    drain_quotes,
)
from chimera_s1.adapters.binance.streams.subscriptions import decode_control_message
from chimera_s1.adapters.market_file import _decode as decode_line
from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.domain.identifiers import Channel, InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote, book_defect
from chimera_s1.domain.operations.clock_skew import NO_OFFSET
from chimera_s1.domain.ports.market_feed import FeedCounters

NOW_MS = 1_772_514_460_900
BATCH = 200
"""Executions on the same streams; few enough that old update ids never count as a restart."""

FAILURES_SHOWN = 10
LINE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors that `read_records` handles."""

FRAMES = (
    (
        b'{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"25.35190000",'
        b'"B":"31.21000000","a":"25.36520000","A":"40.66000000"}}'
    ),
    (
        b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":400900218,"E":1772514460893,'
        b'"T":1772514460891,"s":"BTCUSDT","ps":"BTCUSDT","b":"25.35190000","B":"31.21",'
        b'"a":"25.36520000","A":"40.66","st":1}}'
    ),
    (
        b'{"stream":"btcusdt@depth5@100ms","data":{"lastUpdateId":160,"bids":[["0.0024","10"],'
        b'["0.0023","7"]],"asks":[["0.0026","100"],["0.0027","3"]]}}'
    ),
    (
        b'{"stream":"btcusdt@depth5@100ms","data":{"e":"depthUpdate","E":1772514460277,'
        b'"T":1772514460276,"s":"BTCUSDT","ps":"BTCUSDT","U":390497796,"u":390497878,'
        b'"pu":390497794,"b":[["67403.80","0.002"]],"a":[["67405.90","3.340"]],"st":1}}'
    ),
)
CONTROL = (
    b'{"result":null,"id":1}',
    b'{"code":2,"msg":"Invalid request: too many parameters"}',
    b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":7}',
    b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
)
SEEDS = (*FRAMES, *CONTROL)
LINES = tuple(b'{"ts":%d,"venue":"spot","msg":%b}' % (NOW_MS, each) for each in SEEDS)

VALUES = (
    b"NaN", b'"NaN"', b'"-nan"', b"Infinity", b'"Infinity"', b'"-inf"', b"1e400", b'"1e400"', b"-0",
    b'"-0.0"', b"0", b'"0"', b"-1", b'"-1"', b"1e308", b'"1.7e308"', b"5e-324", b'"1e-400"',
    b"9" * 25, b"9" * 400, b'"' + b"9" * 4_400 + b'"', b"9223372036854775808", b"null", b"true",
    b'""', b'" 1"', b'"1_000"', b'"0x10"', b"[]", b"{}", b"[[]]", b'[["1"]]', b'"\\ud800"',
    b'"\xff"', b"[" * 2_000, b'"' + b"x" * 70_000 + b'"',
)  # fmt: skip
_TOKEN_ENDS = b",:]}"


class Failure(Struct, frozen=True):
    what: str
    payload: bytes


class Outcome(Struct):
    executions: int
    quotes: int
    failures: list[Failure]


class Decoders:
    """The decoders of external bytes, with the state of one batch."""

    def __init__(self) -> None:
        self.counters = FeedCounters()
        self._newest: dict[BookFrames, int] = {}
        self._tables = [
            BookFrames(
                [BookStream(InstrumentId(venue, Symbol("BTCUSDT")), channel)],
                self.counters,
                window=WindowMs(window),
            )
            for venue in Venue
            for channel in Channel
            for window in (0, 1_000)
        ]

    def try_frame(self, payload: bytes, now_ms: int) -> int:
        """Decode like a socket and drain like a window; returns the number of quotes."""
        decode_control_message(payload)
        checked = 0
        for table in self._tables:
            table.put(payload, now_ms)
            for quote in drain_quotes([table], self.counters, NO_OFFSET, every_update=True):
                check_quote(quote, payload, now_ms)
                assert quote.update_id > self._newest.get(table, -1), f"out of order: {quote}"
                self._newest[table] = quote.update_id
                checked += 1
        return checked


def try_line(line: bytes) -> None:
    try:
        decode_line(line)
    except LINE_ERRORS:
        return


def check_quote(quote: Quote, payload: bytes, now_ms: int) -> None:
    """Fail if *quote*, decoded from *payload*, must not be published."""
    top = (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)
    assert book_defect(*top) is None, f"defective: {quote}"
    assert all(map(math.isfinite, (quote.mid, quote.spread_bps, quote.top1_usdt))), f"{quote}"
    assert quote.spread_bps >= 0, f"negative spread: {quote}"
    assert now_ms - EVENT_AGE_MAX_MS <= quote.ts <= now_ms, f"impossible time: {quote}"
    fields = dict(quote_fields(quote))
    assert float(fields["bid1"]) == quote.bid, f"bid is written as {fields['bid1']}"
    assert float(fields["ask1"]) == quote.ask, f"ask is written as {fields['ask1']}"
    expected = _reference_top(payload)
    assert expected is None or expected == top, f"decoded {quote}, expected {expected}"


def _reference_top(payload: bytes) -> tuple[float, ...] | None:
    """The top of book decoded with the standard library; None if it cannot."""
    try:
        data = json.loads(payload)["data"]
        if "B" in data and not isinstance(data["b"], list):
            return tuple(float(data[key]) for key in "bBaA")
        bids, asks = (data.get("bids") or data["b"]), (data.get("asks") or data["a"])
        return tuple(map(float, (*bids[0], *asks[0])))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None


def _flip(chance: random.Random, text: bytearray) -> None:
    if text:
        text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)


def _cut(chance: random.Random, text: bytearray) -> None:
    start = chance.randrange(len(text) + 1)
    del text[start : start + chance.choice((1, 2, 8, 64, len(text)))]


def _insert(chance: random.Random, text: bytearray) -> None:
    start = chance.randrange(len(text) + 1)
    text[start:start] = chance.choice((b'"', b"{", b"[", b"}", b"]", b",", b"\x00", b"\xff", b" "))


def _repeat(chance: random.Random, text: bytearray) -> None:
    start = chance.randrange(len(text) + 1)
    piece = text[start : start + chance.randrange(1, 40)]
    text[start:start] = piece * chance.choice((1, 2, 50))


def _splice(chance: random.Random, text: bytearray) -> None:
    other = chance.choice(SEEDS)
    text[chance.randrange(len(text) + 1) :] = other[chance.randrange(len(other)) :]


def _replace_value(chance: random.Random, text: bytearray) -> None:
    colons = [at for at, byte in enumerate(text) if byte in b":["]
    if not colons:
        return
    start = chance.choice(colons) + 1
    end = next((at for at in range(start, len(text)) if text[at] in _TOKEN_ENDS), len(text))
    text[start:end] = chance.choice(VALUES)


Mutator = Callable[[random.Random, bytearray], None]
MUTATORS: Sequence[Mutator] = (
    _replace_value,
    _replace_value,
    _flip,
    _cut,
    _insert,
    _repeat,
    _splice,
)


def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of *seeds* with up to four random damages."""
    text = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        chance.choice(MUTATORS)(chance, text)
    return bytes(text)


def fuzz(seed: int, should_continue: Callable[[int], bool]) -> Outcome:
    """Run batches while *should_continue*, given the number of executions, returns true."""
    chance = random.Random(seed)
    outcome = Outcome(0, 0, [])
    while should_continue(outcome.executions) and len(outcome.failures) < FAILURES_SHOWN:
        for failure in _batch(chance, outcome):
            outcome.failures.append(failure)
    return outcome


def _batch(chance: random.Random, outcome: Outcome) -> Iterator[Failure]:
    decoders = Decoders()
    for number in range(BATCH):
        outcome.executions += 1
        payload, line = mutate(chance, SEEDS), mutate(chance, LINES)
        try:
            outcome.quotes += decoders.try_frame(payload, NOW_MS + number)
        except Exception as error:  # noqa: BLE001 (any exception is a finding)
            yield Failure(f"frame: {type(error).__name__}: {error}", payload)
        try:
            try_line(line)
        except Exception as error:  # noqa: BLE001 (as above)
            yield Failure(f"line: {type(error).__name__}: {error}", line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print the findings; returns 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, prog="fuzz_frames")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--executions", type=int, default=0, help="stop after so many (0: never)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    end = time.monotonic() + options.seconds

    def should_continue(executions: int) -> bool:
        counted_out = options.executions and executions >= options.executions
        return not counted_out and time.monotonic() < end

    outcome = fuzz(seed, should_continue)
    for failure in outcome.failures:
        sys.stdout.write(f"FAILED {failure.what[:500]}\n  on {failure.payload[:500]!r}\n")
    sys.stdout.write(
        f"fuzz_frames: seed {seed}, {outcome.executions} executions, {outcome.quotes} quotes "
        f"checked, {len(outcome.failures)} failures\n"
    )
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
