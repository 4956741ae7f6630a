"""Listings, delistings and changes of futures contracts, from the stream `!contractInfo`.

It may be silent for days, so an acknowledged subscription counts as delivering; pings show that the
socket lives. The stream carries COIN-M contracts, too (`st` 2). Spot has no such stream.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct, structs

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.endpoints import LISTING_STREAM, listing_stream_url
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.streams.book_messages import (
    COIN_MARGINED,
    DECODE_ERRORS,
    stream_of,
)
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.managed_connection import (
    ManagedConnection,
    ManagedConnectionSetup,
)
from chimera_s1.adapters.binance.streams.market_socket import FrameSink, MarketSocket, SocketPlan
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.market.health import ListingNewsReport
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.listing_news import ListingNotice
from chimera_s1.domain.ports.market_feed import FeedCounters, FeedListener

CONNECTION = "perp-listings"
RENEW_AFTER_MS = 23 * 3_600_000

_SOURCE = f"stream {LISTING_STREAM}"
_FOR_EVER = 2**63


class _Message(Struct):
    data: Raw


class _ContractInfo(Struct):
    """`{"e":"contractInfo","E":1669356423908,"s":"IOTAUSDT","ps":"IOTAUSDT","ct":"PERPETUAL",
    "dt":4133404800000,"ot":1569398400000,"cs":"TRADING","bks":[..],"st":1}`
    """

    s: str
    cs: str = ""
    ct: str = ""
    dt: int | None = None
    E: int = 0
    st: int = 1


_message_decoder = msgspec.json.Decoder(_Message)
_list_decoder = msgspec.json.Decoder(list[Raw])
_contract_decoder = msgspec.json.Decoder(_ContractInfo, strict=False)


class _Received:
    """Implements `managed_connection.SocketFrames`: notices are passed on and not kept."""

    is_empty = True

    def __init__(self) -> None:
        self.last_message_ms = 0


class BinanceListingNews:
    """Implements `domain.ports.listing_news.ListingNews` on one connection of its own.

    Args:
        policy: Its retries never run out: a connection without market data is no reason to stop
            trading.
        gate: Of the futures; shared by everything that dials them.
        draw: Uniform in [0, 1), for jitter.
        listener: Called on each change of the connection.
        rows: Names each message that cannot be used, once.
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
    ) -> None:
        self._clock = clock
        self._gate = gate
        self._listener = listener
        self._rows = rows
        self._counters = FeedCounters()
        self._pacer = ReadPacer(clock, interval_ms=0)
        self._on_notice: Callable[[ListingNotice], None] = lambda _: None
        self._notices = self._unusable = 0
        plan = SocketPlan(
            CONNECTION,
            Venue.PERP,
            listing_stream_url(ws_url),
            (LISTING_STREAM,),
            egress,
        )
        setup = ManagedConnectionSetup(
            policy=structs.replace(policy, retries_max=_FOR_EVER),
            renew_after_ms=RENEW_AFTER_MS,
            clock=clock,
            gate=gate,
            draw=draw,
            counters=self._counters,
            listener=listener,
            make_socket=self._make_socket,
        )
        self._connection = ManagedConnection(plan, (), setup, _Received, self._sink)

    async def run(self, on_notice: Callable[[ListingNotice], None]) -> None:
        self._on_notice = on_notice
        await self._connection.run()

    def report(self) -> ListingNewsReport:
        unusable = self._unusable + sum(self._counters.dropped.values())
        return ListingNewsReport(self._connection.delivering, self._notices, unusable)

    def _sink(self, received: _Received) -> FrameSink:
        def put(payload: bytes, received_ms: int) -> bool:
            if stream_of(payload) != LISTING_STREAM.encode():
                return False
            received.last_message_ms = received_ms
            self._read(payload)
            return True

        return put

    def _read(self, payload: bytes) -> None:
        try:
            data = _message_decoder.decode(payload).data
            rows = _list_decoder.decode(data) if bytes(data).lstrip()[:1] == b"[" else [data]
            notices = self._rows.read(_SOURCE, rows, _notice)
        except (*DECODE_ERRORS, ExchangeUnavailableError):
            self._unusable += 1
            return
        for notice in notices:
            if notice is not None:
                self._notices += 1
                self._on_notice(notice)

    def _make_socket(
        self,
        plan: SocketPlan,
        sink: FrameSink,
        on_data: Callable[[], None],
        on_shutdown: Callable[[], None],
    ) -> MarketSocket:
        return MarketSocket(
            plan,
            sink,
            self._counters,
            clock=self._clock,
            gate=self._gate,
            pacer=self._pacer,
            listener=self._listener,
            on_first_data=on_data,
            on_shutdown=on_shutdown,
            may_be_silent=lambda: True,
        )


def _notice(row: Raw) -> ListingNotice | None:
    """None for a COIN-M contract."""
    contract = _contract_decoder.decode(row)
    if contract.st == COIN_MARGINED:
        return None
    instrument = InstrumentId(Venue.PERP, parse_symbol(contract.s))
    return ListingNotice(instrument, contract.cs, contract.ct, contract.dt, contract.E)
