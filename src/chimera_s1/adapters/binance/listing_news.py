"""Listings, delistings and changes of futures contracts, from the stream `!contractInfo`.

It may be silent for days, so an acknowledged subscription counts as delivering; pings show that the
socket lives. The stream carries COIN-M contracts, too (`st` 2). Spot has no such stream.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.endpoints import LISTING_STREAM, perp_stream_url
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.streams.book_messages import COIN_MARGINED, DECODE_ERRORS
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.single_stream import SingleStream, SingleStreamPlan
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.market.health import ListingNewsReport
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.listing_news import ListingNotice
from chimera_s1.domain.ports.market_feed import FeedListener

CONNECTION = "perp-listings"

_SOURCE = f"stream {LISTING_STREAM}"


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


class BinanceListingNews:
    """Implements `domain.ports.listing_news.ListingNews` on one connection of its own.

    Args:
        policy, gate, draw, listener: See `SingleStream`.
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
        self._rows = rows
        self._on_notice: Callable[[ListingNotice], None] = lambda _: None
        self._notices = self._unusable = 0
        plan = SingleStreamPlan(
            connection=CONNECTION,
            stream=LISTING_STREAM,
            url=perp_stream_url(ws_url),
            silent_checks_max=None,
            egress=egress,
        )
        self._stream = SingleStream(
            plan,
            policy=policy,
            clock=clock,
            gate=gate,
            draw=draw,
            listener=listener,
            on_message=self._read,
        )

    async def run(self, on_notice: Callable[[ListingNotice], None]) -> None:
        self._on_notice = on_notice
        await self._stream.run()

    def report(self) -> ListingNewsReport:
        unusable = self._unusable + self._stream.unreadable
        return ListingNewsReport(self._stream.delivering, self._notices, unusable)

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


def _notice(row: Raw) -> ListingNotice | None:
    """None for a COIN-M contract."""
    contract = _contract_decoder.decode(row)
    if contract.st == COIN_MARGINED:
        return None
    instrument = InstrumentId(Venue.PERP, parse_symbol(contract.s))
    return ListingNotice(instrument, contract.cs, contract.ct, contract.dt, contract.E)
