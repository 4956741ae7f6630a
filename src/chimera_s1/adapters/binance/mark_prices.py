"""Funding estimates of all contracts, from the stream `!markPrice@arr@1s`.

About 930 rows a second in two messages: TradFi contracts have one of their own. The stream carries
COIN-M contracts, too (`st` 2; absent on USD-M rows before 2026-06).
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, structs

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.endpoints import MARK_PRICE_STREAM, perp_stream_url
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.streams.book_messages import COIN_MARGINED, DECODE_ERRORS
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.single_stream import SingleStream, SingleStreamPlan
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.identifiers import Symbol, parse_symbol
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.mark_prices import MarkPriceCounts, MarkPriceReport, OnEstimates
from chimera_s1.domain.ports.market_feed import FeedListener

CONNECTION = "perp-funding"
SILENT_CHECKS_MAX = 10
"""Seconds without a message of a stream that sends two each second."""

CONTRACTS_MAX = 10_000
"""Contracts whose last row is kept; Binance lists about 1,000."""

_SOURCE = f"stream {MARK_PRICE_STREAM}"

Milliseconds = Annotated[int, Meta(ge=0, le=9_999_999_999_999)]

_RATE = re.compile(r"-?\d{1,6}(\.\d{1,20})?", re.ASCII)


class _MarkPrice(Struct, gc=False):
    """`{"e":"markPriceUpdate","E":1772505380000,"s":"BTCUSDT","p":"67794.15","ap":"67790.1",
    "i":"67784.6","P":"67784.2","r":"0.00038167","T":1772506400000,"st":1}`; `r` "" or `T` 0 on
    contracts without funding.
    """

    s: str
    r: str = ""
    T: Milliseconds = 0
    E: Milliseconds = 0
    st: int = 1


class _Message(Struct, gc=False):
    data: list[_MarkPrice]


class _RawMessage(Struct):
    data: list[Raw]


_decoder = msgspec.json.Decoder(_Message, strict=False)
_raw_decoder = msgspec.json.Decoder(_RawMessage)
_row_decoder = msgspec.json.Decoder(_MarkPrice, strict=False)


class BinanceMarkPrices:
    """Implements `domain.ports.mark_prices.MarkPrices` on one connection of its own.

    Args:
        policy, gate, draw, listener: See `SingleStream`.
        rows: Names each row that cannot be used, once.
        silent_checks_max: See `SingleStreamPlan`.
    """

    def __init__(
        self,
        ws_url: str,
        *,
        policy: ReconnectPolicy,
        clock: Clock,
        gate: DialGate,
        draw: Callable[[], float],
        listener: FeedListener,
        rows: RowReader,
        egress: Egress = DIRECT,
        silent_checks_max: int = SILENT_CHECKS_MAX,
    ) -> None:
        self._clock = clock
        self._last_message_ms: float | None = None
        self._on_estimates: OnEstimates = lambda _: None
        self._decoder = MarkPriceDecoder(rows)
        plan = SingleStreamPlan(
            connection=CONNECTION,
            stream=MARK_PRICE_STREAM,
            url=perp_stream_url(ws_url),
            silent_checks_max=silent_checks_max,
            egress=egress,
        )
        self._stream = SingleStream(
            plan,
            policy=policy,
            clock=clock,
            gate=gate,
            draw=draw,
            listener=listener,
            on_message=self._take,
        )

    async def run(self, on_estimates: OnEstimates) -> None:
        self._on_estimates = on_estimates
        await self._stream.run()

    def report(self) -> MarkPriceReport:
        age_ms = None
        if self._last_message_ms is not None:
            age_ms = self._clock.monotonic_ms() - self._last_message_ms
        counts = structs.replace(
            self._decoder.counts,
            unreadable=self._decoder.counts.unreadable + self._stream.unreadable,
            reconnects=self._stream.reconnects,
        )
        return MarkPriceReport(self._stream.delivering, age_ms, counts)

    def _take(self, payload: bytes) -> None:
        self._last_message_ms = self._clock.monotonic_ms()
        if estimates := self._decoder.decode(payload):
            self._on_estimates(estimates)


class MarkPriceDecoder:
    """Decodes whole messages; row by row only where a row of one cannot be read."""

    def __init__(self, rows: RowReader) -> None:
        self.counts = MarkPriceCounts()
        self._rows = rows
        self._checked_rows: dict[str, FundingEstimate] = {}

    def decode(self, payload: bytes) -> list[FundingEstimate]:
        self.counts.messages += 1
        try:
            return self._estimates(_decoder.decode(payload).data)
        except (*DECODE_ERRORS, InvalidValueError):
            return self._estimates(self._readable(payload))

    def _readable(self, payload: bytes) -> list[_MarkPrice]:
        try:
            raw_rows = _raw_decoder.decode(payload).data
        except DECODE_ERRORS:
            self.counts.unreadable += 1
            return []
        readable = []
        for raw_row in raw_rows:
            row = self._rows.read_row(_SOURCE, raw_row, self._checked)
            if isinstance(row, UnusableRow):
                self.counts.unreadable += 1
            else:
                readable.append(row)
        return readable

    def _checked(self, raw_row: Raw) -> _MarkPrice:
        row = _row_decoder.decode(raw_row)
        if _has_funding(row):
            self._estimate(row)
        return row

    def _estimates(self, rows: Iterable[_MarkPrice]) -> list[FundingEstimate]:
        estimates, without_funding, coin_margined = [], 0, 0
        for row in rows:
            if row.st == COIN_MARGINED:
                coin_margined += 1
            elif _has_funding(row):
                estimates.append(self._estimate(row))
            else:
                without_funding += 1
        self.counts.coin_margined += coin_margined
        self.counts.without_funding += without_funding
        return estimates

    def _estimate(self, row: _MarkPrice) -> FundingEstimate:
        if not row.E:
            raise InvalidValueError("E, the event time, is missing")
        # Names do not change, and rates seldom do: each is checked once.
        checked = self._checked_rows.get(row.s)
        if checked is None or checked.rate != row.r:
            return self._check(row, parse_symbol(row.s) if checked is None else checked.symbol)
        return FundingEstimate(checked.symbol, row.r, row.T, row.E)

    def _check(self, row: _MarkPrice, symbol: Symbol) -> FundingEstimate:
        if _RATE.fullmatch(row.r) is None:
            raise InvalidValueError("r, the rate, is not a decimal number")
        estimate = FundingEstimate(symbol, row.r, row.T, row.E)
        if row.s in self._checked_rows or len(self._checked_rows) < CONTRACTS_MAX:
            self._checked_rows[row.s] = estimate
        return estimate


def _has_funding(row: _MarkPrice) -> bool:
    return bool(row.r and row.T and row.st != COIN_MARGINED)
