"""The events of the futures account.

Sources: USD-M user data streams, "Event: Order Update", "Algo Order Update", "Balance and Position
Update", "Account Configuration Update". Words of Binance stay as they are.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.orders.row_fields import id_text, number
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
    OrderReport,
    PositionReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Venue, parse_symbol
from chimera_s1.domain.ports.account_stream import AccountChanged, StreamEvent

KEY_EXPIRED = "listenKeyExpired"
SHUTDOWN = "serverShutdown"

_MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
_NO_REASON = "0"


class _Order(Struct, frozen=True):
    """`t` is 0 without a trade. `n` and `N` may be missing."""

    s: str
    c: str
    S: str
    o: str
    q: str
    X: str
    i: int
    l: str  # noqa: E741 (Binance's name)
    z: str
    L: str
    T: int
    f: str = ""
    p: str = ""
    ap: str = ""
    sp: str = ""
    n: str | None = None
    N: str | None = None
    t: int = 0
    m: bool | None = None
    R: bool = False
    ps: str = ""
    cp: bool = False
    er: str = _NO_REASON


class _OrderUpdate(Struct, frozen=True):
    o: _Order


class _Algo(Struct, frozen=True):
    """`ai`, `ap` and `aq` are of the order that it has become."""

    caid: str
    aid: int
    o: str
    s: str
    S: str
    X: str
    q: str = ""
    f: str = ""
    p: str = ""
    tp: str = ""
    ps: str = ""
    R: bool = False
    cp: bool = False
    ai: str | int | None = None
    ap: str | None = None
    aq: str | None = None
    rm: str | None = None


class _AlgoUpdate(Struct, frozen=True):
    T: int
    o: _Algo


class _Balance(Struct, frozen=True):
    a: str
    wb: str


class _Position(Struct, frozen=True):
    s: str
    pa: str
    ep: str
    ps: str


class _Account(Struct, frozen=True):
    m: str = ""
    B: tuple[Raw, ...] = ()
    P: tuple[Raw, ...] = ()


class _AccountUpdate(Struct, frozen=True):
    T: int
    a: _Account


class _SymbolSetting(Struct, frozen=True):
    s: str = ""


class _ConfigurationUpdate(Struct, frozen=True):
    """`ac` is the leverage of a symbol, `ai` the multi-assets mode."""

    ac: _SymbolSetting | None = None
    ai: Mapping[str, object] | None = None


def _order_update(raw: bytes | Raw) -> Reading:
    order = msgspec.json.decode(raw, type=_OrderUpdate).o
    report = OrderReport(
        family=OrderFamily.PERP_ORDER,
        symbol=parse_symbol(order.s),
        client_id=order.c,
        exchange_id=id_text(order.i),
        side=order.S,
        type=order.o,
        status=order.X,
        qty=number("q", order.q),
        filled_qty=number("z", order.z),
        at_ms=order.T,
        source=ReportSource.STREAM,
        price=number("p", order.p),
        trigger=number("sp", order.sp),
        avg_price=number("ap", order.ap) or None,
        time_in_force=order.f,
        position_side=order.ps,
        reduce_only=order.R,
        close_position=order.cp,
        reason="" if order.er == _NO_REASON else f"expiry reason {order.er}",
    )
    # Not by the execution type: the trades of a liquidation have another one.
    if order.t > 0 and number("l", order.l):
        return Reading((report, _fill(order)))
    return Reading((report,))


def _fill(order: _Order) -> FillReport:
    return FillReport(
        venue=Venue.PERP,
        symbol=parse_symbol(order.s),
        trade_id=str(order.t),
        order_id=id_text(order.i),
        client_id=order.c,
        side=order.S,
        qty=number("l", order.l),
        price=number("L", order.L),
        at_ms=order.T,
        source=ReportSource.STREAM,
        commission=number("n", order.n) if order.n else None,
        commission_asset=order.N or "",
        maker=order.m,
        position_side=order.ps,
    )


def _algo_update(raw: bytes | Raw) -> Reading:
    event = msgspec.json.decode(raw, type=_AlgoUpdate)
    algo, child = event.o, str(event.o.ai or "")
    report = OrderReport(
        family=OrderFamily.PERP_ALGO,
        symbol=parse_symbol(algo.s),
        client_id=algo.caid,
        exchange_id=id_text(algo.aid),
        side=algo.S,
        type=algo.o,
        status=algo.X,
        qty=number("q", algo.q),
        filled_qty=number("aq", algo.aq or ""),
        at_ms=event.T,
        source=ReportSource.STREAM,
        price=number("p", algo.p),
        trigger=number("tp", algo.tp),
        avg_price=number("ap", algo.ap or "") or None,
        time_in_force=algo.f,
        position_side=algo.ps,
        reduce_only=algo.R,
        close_position=algo.cp,
        child_id="" if child == "0" else child,
        reason=algo.rm or "",
    )
    return Reading((report,))


def _account_update(raw: bytes | Raw) -> Reading:
    """Only the balances and positions that have changed."""
    event = msgspec.json.decode(raw, type=_AccountUpdate)

    def read_balance(row: Raw) -> StreamEvent:
        balance = msgspec.json.decode(row, type=_Balance)
        wallet = number("wb", balance.wb)
        zero = number("locked", "")
        return BalanceReport(wallet="FUT", asset=balance.a, free=wallet, locked=zero, at_ms=event.T)

    def read_position(row: Raw) -> StreamEvent:
        position = msgspec.json.decode(row, type=_Position)
        return PositionReport(
            symbol=parse_symbol(position.s),
            position_side=position.ps,
            qty=number("pa", position.pa),
            entry_price=number("ep", position.ep),
            at_ms=event.T,
        )

    balances, problem = read_rows(event.a.B, read_balance)
    positions, other_problem = read_rows(event.a.P, read_position)
    reports = [*balances, *positions]
    if event.a.m == _MARGIN_TYPE_CHANGE:
        reports.append(AccountChanged(what="margin type"))
    return Reading(tuple(reports), problem or other_problem)


def _configuration_update(raw: bytes | Raw) -> Reading:
    event = msgspec.json.decode(raw, type=_ConfigurationUpdate)
    changed = []
    if event.ac is not None:
        changed.append(AccountChanged(what=f"leverage of {event.ac.s}".rstrip()))
    if event.ai is not None:
        changed.append(AccountChanged(what="multi-assets mode"))
    return Reading(tuple(changed) or (AccountChanged(what="configuration"),))


def _margin_call(_: bytes | Raw) -> Reading:
    return Reading((AccountChanged(what="margin call"),))


PERP_EVENTS: Mapping[str, ReadEvent] = {
    "ORDER_TRADE_UPDATE": _order_update,
    # Repeats the trade of an ORDER_TRADE_UPDATE, without commission and position side.
    "TRADE_LITE": passed_over,
    "ALGO_UPDATE": _algo_update,
    "ACCOUNT_UPDATE": _account_update,
    "ACCOUNT_CONFIG_UPDATE": _configuration_update,
    "MARGIN_CALL": _margin_call,
    "CONDITIONAL_ORDER_TRIGGER_REJECT": passed_over,
    "STRATEGY_UPDATE": passed_over,
    "GRID_UPDATE": passed_over,
    KEY_EXPIRED: passed_over,
    SHUTDOWN: passed_over,
}

WANTED_EVENTS = (
    "ORDER_TRADE_UPDATE",
    "ALGO_UPDATE",
    "ACCOUNT_UPDATE",
    "ACCOUNT_CONFIG_UPDATE",
    "MARGIN_CALL",
    KEY_EXPIRED,
)
"""What a connection asks for: an event that it does not name is not delivered."""
