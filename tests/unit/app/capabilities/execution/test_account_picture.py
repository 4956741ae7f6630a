"""Open orders, positions and balances: moved by streams, corrected by reads that may lag."""

from decimal import Decimal

from msgspec.structs import replace

from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.domain.execution.events import OrderPlanned
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.observation import observe
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import (
    OcoStop,
    OcoTakeProfit,
    OrderFamily,
    Side,
    SpotOco,
)
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    LegRef,
    OrderListReport,
    OrderReport,
    PositionReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.unit.domain.execution.test_observation import (
    ALGO,
    BTC,
    ENTRY,
    LIMIT,
    STOP,
    algo_said,
    planned,
    said,
    state_with,
)

AT_MS = 100_000


def foreign(number: int, status: str = "NEW", at_ms: int = AT_MS, filled: int = 0) -> OrderReport:
    report = said(status, filled, at_ms)
    return replace(report, client_id=f"web_{number}", exchange_id=str(number))


def balance(free: int, at_ms: int = AT_MS) -> BalanceReport:
    return BalanceReport(
        wallet="FUT", asset="USDT", free=Decimal(free), locked=Decimal(0), at_ms=at_ms
    )


def position(qty: int, at_ms: int = AT_MS, symbol: Symbol = BTC) -> PositionReport:
    return PositionReport(
        symbol=symbol,
        position_side="BOTH",
        qty=Decimal(qty),
        entry_price=Decimal(100),
        at_ms=at_ms,
    )


def picture_of(*requests: OrderPlanned) -> AccountPicture:
    state = ExecutionState()
    for event in requests:
        state.apply(event)
    return AccountPicture(state)


def shown(picture: AccountPicture) -> list[tuple[str, str, bool]]:
    return [(row.client_id, row.status, row.ours) for row in picture.open_orders()]


def test_a_stream_opens_moves_and_closes_an_order() -> None:
    picture = picture_of()
    picture.apply(foreign(1))
    picture.apply(foreign(1, "PARTIALLY_FILLED", filled=1))
    picture.apply(foreign(1))  # late
    assert shown(picture) == [("web_1", "PARTIALLY_FILLED", False)]
    picture.apply(foreign(1, "CANCELED"))
    picture.apply(foreign(1))  # later still
    assert shown(picture) == []


def test_a_read_that_lags_neither_removes_a_new_order_nor_brings_back_a_closed_one() -> None:
    picture = picture_of()
    picture.apply(foreign(1))
    picture.apply(foreign(2, "CANCELED"))
    picture.take_orders(Venue.PERP, [foreign(2)], AT_MS + QUERY_LAG_MS - 1)
    assert shown(picture) == [("web_1", "NEW", False)]
    picture.take_orders(Venue.PERP, [], AT_MS + QUERY_LAG_MS)
    assert shown(picture) == []


def test_a_read_says_until_when_a_row_was_true() -> None:
    picture = picture_of()
    picture.apply(foreign(1))
    picture.take_orders(Venue.PERP, [foreign(1)], AT_MS + 60_000)
    (row,) = picture.open_orders()
    assert row.at_ms == AT_MS + 60_000
    picture.take_orders(Venue.SPOT, [], AT_MS + 90_000)
    assert picture.open_orders(Venue.PERP) == (row,)
    assert picture.open_orders(Venue.SPOT) == ()


def test_our_orders_are_shown_before_the_exchange_lists_them_and_not_after_they_ended() -> None:
    state = state_with(LIMIT, ALGO)
    picture = AccountPicture(state)
    assert shown(picture) == [(ENTRY, "planned", True), (STOP, "planned", True)]
    for report in (said("NEW", 0, AT_MS), algo_said("NEW", AT_MS)):
        picture.apply(report)
        assert len(shown(picture)) == 2
        for event in observe(state, report, {}):
            state.apply(event)
    assert shown(picture) == [(ENTRY, "NEW", True), (STOP, "NEW", True)]
    for event in observe(state, said("FILLED", 2, AT_MS, "read"), {}):
        state.apply(event)  # the stream has not said it
    assert shown(picture) == [(STOP, "NEW", True)]


def test_a_planned_order_has_its_terms() -> None:
    row = AccountPicture(state_with(ALGO)).open_orders()[0]
    assert (row.type, row.family) == ("STOP_MARKET", OrderFamily.PERP_ALGO)
    assert row.trigger == 90
    assert (row.price, row.reduce_only, row.label, row.entry_id) == (None, True, "ours", "entry")


def test_a_list_and_its_legs_are_ours() -> None:
    oco = SpotOco(
        client_id="s1-x-oco",
        symbol=BTC,
        side=Side.SELL,
        qty=Decimal(1),
        take_profit=OcoTakeProfit(client_id="s1-x-tp", price=Decimal(120)),
        stop=OcoStop(client_id="s1-x-sl", trigger=Decimal(90)),
    )
    picture = picture_of(planned(oco))
    leg = replace(foreign(5), family=OrderFamily.SPOT_ORDER, client_id="s1-x-tp", list_id="8")
    picture.apply(leg)
    picture.apply(
        OrderListReport(
            symbol=BTC,
            client_id="s1-x-oco",
            exchange_id="8",
            status="EXECUTING",
            legs=(LegRef(client_id="s1-x-tp", exchange_id="5"),),
            at_ms=AT_MS,
            source=ReportSource.STREAM,
        )
    )
    rows = {row.client_id: (row.type, row.ours) for row in picture.open_orders(Venue.SPOT)}
    assert rows["s1-x-tp"] == ("LIMIT", True)
    assert rows["s1-x-oco"] == ("OCO", True)


def test_the_oldest_order_is_dropped_and_counted_at_the_bound() -> None:
    picture = AccountPicture(ExecutionState(), orders_max=2)
    for number in (1, 2, 3):
        picture.apply(foreign(number))
    assert [name for name, _, _ in shown(picture)] == ["web_2", "web_3"]
    assert picture.dropped == 1


def test_an_older_event_changes_no_balance_and_a_read_keeps_a_newer_one() -> None:
    picture = picture_of()
    assert picture.replace_balances(Venue.PERP, [balance(1)], AT_MS) == ()
    picture.apply(balance(5, AT_MS + 10))
    picture.apply(balance(4, AT_MS + 9))
    assert picture.replace_balances(Venue.PERP, [balance(1)], AT_MS + 20) == ()
    assert [row.free for row in picture.balances()] == [5]
    (corrected,) = picture.replace_balances(Venue.PERP, [], AT_MS + 10 + QUERY_LAG_MS)
    assert (corrected.before, corrected.after) == (Decimal(5), Decimal(0))
    assert picture.balances() == ()


def test_positions_follow_events_and_reads() -> None:
    picture = picture_of()
    picture.replace_positions([position(2), position(0, symbol=Symbol("ETHUSDT"))], AT_MS)
    picture.apply(position(3, AT_MS + 1))
    assert [(row.symbol, row.qty) for row in picture.positions()] == [(BTC, Decimal(3))]
    picture.apply(position(0, AT_MS + 2))
    assert picture.positions() == ()
