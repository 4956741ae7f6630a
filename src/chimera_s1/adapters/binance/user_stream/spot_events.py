"""The events of the spot account.

Source: SPOT user-data-stream.md. Words of Binance stay as they are. On a cancel `c` is the id of
the cancel, and `C` the order's own.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.orders.row_fields import average, id_text, number
from chimera_s1.adapters.binance.user_stream.event_reading import (
    ReadEvent,
    Reading,
    passed_over,
    read_rows,
)
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    LegRef,
    OrderListReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Venue, parse_symbol
from chimera_s1.domain.ports.account_stream import AccountChanged, StreamEvent

SHUTDOWN = "serverShutdown"
SUBSCRIPTION_ENDED = "eventStreamTerminated"

_TRADE = "TRADE"
_NO_REASON = "NONE"


class _ExecutionReport(Struct, frozen=True):
    """`t` is -1 without a trade; `n` and `N` are the commission of this trade."""

    s: str
    c: str
    S: str
    o: str
    f: str
    q: str
    p: str
    x: str
    X: str
    i: int
    l: str  # noqa: E741 (Binance's name)
    z: str
    L: str
    T: int
    Z: str
    P: str = ""
    C: str = ""
    g: int = -1
    r: str = _NO_REASON
    n: str = ""
    N: str | None = None
    t: int = -1
    m: bool | None = None
    eR: str = ""  # noqa: N815 (Binance's name)

    @property
    def client_id(self) -> str:
        return self.C or self.c


class _Leg(Struct, frozen=True):
    i: int
    c: str


class _ListStatus(Struct, frozen=True):
    s: str
    g: int
    L: str
    C: str
    T: int
    O: tuple[_Leg, ...]  # noqa: E741 (Binance's name)
    r: str = _NO_REASON


class _Balance(Struct, frozen=True):
    a: str
    f: str
    l: str  # noqa: E741 (Binance's name)


class _AccountPosition(Struct, frozen=True):
    u: int
    B: tuple[Raw, ...]


class _Change(Struct, frozen=True):
    a: str


def _execution_report(raw: bytes | Raw) -> Reading:
    event = msgspec.json.decode(raw, type=_ExecutionReport)
    if event.x == _TRADE and event.t >= 0:
        return Reading((_order(event), _fill(event)))
    return Reading((_order(event),))


def _order(event: _ExecutionReport) -> OrderReport:
    filled = number("z", event.z)
    return OrderReport(
        family=OrderFamily.SPOT_ORDER,
        symbol=parse_symbol(event.s),
        client_id=event.client_id,
        exchange_id=id_text(event.i),
        side=event.S,
        type=event.o,
        status=event.X,
        qty=number("q", event.q),
        filled_qty=filled,
        at_ms=event.T,
        source=ReportSource.STREAM,
        price=number("p", event.p),
        trigger=number("P", event.P),
        avg_price=average(number("Z", event.Z), filled),
        time_in_force=event.f,
        list_id=id_text(event.g),
        reason=event.eR or _reason(event.r),
    )


def _fill(event: _ExecutionReport) -> FillReport:
    return FillReport(
        venue=Venue.SPOT,
        symbol=parse_symbol(event.s),
        trade_id=str(event.t),
        order_id=id_text(event.i),
        client_id=event.client_id,
        side=event.S,
        qty=number("l", event.l),
        price=number("L", event.L),
        at_ms=event.T,
        source=ReportSource.STREAM,
        commission=number("n", event.n) if event.n else None,
        commission_asset=event.N or "",
        maker=event.m,
    )


def _list_status(raw: bytes | Raw) -> Reading:
    event = msgspec.json.decode(raw, type=_ListStatus)
    report = OrderListReport(
        symbol=parse_symbol(event.s),
        client_id=event.C,
        exchange_id=id_text(event.g),
        status=event.L,
        legs=tuple(LegRef(client_id=leg.c, exchange_id=id_text(leg.i)) for leg in event.O),
        at_ms=event.T,
        source=ReportSource.STREAM,
        reason=_reason(event.r),
    )
    return Reading((report,))


def _account_position(raw: bytes | Raw) -> Reading:
    """Only the balances that may have changed."""
    event = msgspec.json.decode(raw, type=_AccountPosition)

    def read(row: Raw) -> StreamEvent:
        balance = msgspec.json.decode(row, type=_Balance)
        return BalanceReport(
            wallet="SPOT",
            asset=balance.a,
            free=number("f", balance.f),
            locked=number("l", balance.l),
            at_ms=event.u,
        )

    reports, problem = read_rows(event.B, read)
    return Reading(tuple(reports), problem)


def _balance_changed(raw: bytes | Raw) -> Reading:
    """A deposit, withdrawal, transfer or lock: the event has the change, not the balance."""
    event = msgspec.json.decode(raw, type=_Change)
    return Reading((AccountChanged(what=f"balance of {event.a}"),))


def _reason(word: str) -> str:
    return "" if word == _NO_REASON else word


SPOT_EVENTS: Mapping[str, ReadEvent] = {
    "executionReport": _execution_report,
    "listStatus": _list_status,
    "outboundAccountPosition": _account_position,
    "balanceUpdate": _balance_changed,
    "externalLockUpdate": _balance_changed,
    SHUTDOWN: passed_over,
    SUBSCRIPTION_ENDED: passed_over,
}
