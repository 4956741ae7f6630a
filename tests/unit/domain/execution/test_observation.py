"""Reports of the exchange, in any order, lead to one state of an order."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.execution.event_records import decode_event, to_new_event
from chimera_s1.domain.execution.events import ExecutionEvent, OrderPlanned, OrderUnknown
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.observation import Tracked, conclude, observe
from chimera_s1.domain.execution.order_request import (
    Limit,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    OrderFamily,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    Stop,
    TimeInForce,
    WorkingType,
)
from chimera_s1.domain.execution.reports import FillReport, OrderReport, ReportSource
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ledger.commit import RecordedEvent

BTC = Symbol("BTCUSDT")
ENTRY, STOP = "s1-entry-e", "s1-entry-sl1"
LIMIT = PerpOrder(
    client_id=ENTRY,
    symbol=BTC,
    side=Side.BUY,
    scope=OneWay(reduce_only=False),
    body=Limit(qty=Decimal(2), price=Decimal(100), time_in_force=TimeInForce.GTC),
)
ALGO = PerpAlgoOrder(
    client_id=STOP,
    symbol=BTC,
    side=Side.SELL,
    scope=OneWay(reduce_only=True),
    working_type=WorkingType.CONTRACT_PRICE,
    body=Stop(qty=Decimal(2), trigger=Decimal(90)),
)


OCO = SpotOco(
    client_id="s1-l",
    symbol=BTC,
    side=Side.SELL,
    qty=Decimal(2),
    take_profit=OcoTakeProfit(client_id="s1-l-tp", price=Decimal(110)),
    stop=OcoStop(client_id="s1-l-sl", trigger=Decimal(90)),
)


def planned(request: OrderRequest) -> OrderPlanned:
    return OrderPlanned(
        client_id=request.client_id,
        request=request,
        entry_id="entry",
        signed_at_ms=1,
        recv_window_ms=2_000,
        request_hash="",
    )


def said(status: str, filled: int, at_ms: int, source: str = "stream") -> OrderReport:
    return OrderReport(
        family=OrderFamily.PERP_ORDER,
        symbol=BTC,
        client_id=ENTRY,
        exchange_id="7",
        side="BUY",
        type="LIMIT",
        status=status,
        qty=Decimal(2),
        filled_qty=Decimal(filled),
        at_ms=at_ms,
        source=ReportSource(source),
        avg_price=Decimal(100) if filled else None,
    )


def trade(trade_id: str, order_id: str = "7", client_id: str = ENTRY) -> FillReport:
    return FillReport(
        venue=Venue.PERP,
        symbol=BTC,
        trade_id=trade_id,
        order_id=order_id,
        client_id=client_id,
        side="BUY",
        qty=Decimal(1),
        price=Decimal(100),
        at_ms=20,
        source=ReportSource.STREAM,
        commission=Decimal("0.04"),
        commission_asset="USDT",
        maker=True,
    )


def algo_said(status: str, at_ms: int, child_id: str = "") -> OrderReport:
    return replace(
        said(status, 0, at_ms),
        family=OrderFamily.PERP_ALGO,
        client_id=STOP,
        exchange_id="900",
        child_id=child_id,
    )


def state_with(*requests: OrderRequest) -> ExecutionState:
    state = ExecutionState()
    for request in requests:
        state.apply(planned(request))
    return state


def tell(state: ExecutionState, *reports: Tracked) -> list[ExecutionEvent]:
    events: list[ExecutionEvent] = []
    for report in reports:
        for event in observe(state, report, {}):
            events.append(event)
            state.apply(stored(event))
    return events


def stored(event: ExecutionEvent) -> ExecutionEvent:
    """As read back from the ledger."""
    new = to_new_event(event)
    decoded = decode_event(RecordedEvent(0, "x", new.stream, 1, new.type, new.v, new.data))
    assert decoded == event
    return event


def picture(order: TrackedOrder) -> tuple[object, ...]:
    return (
        order.phase, order.status, order.exchange_id, order.child_id, order.filled_qty,
        order.avg_price, order.ending, order.fills, order.children,
    )  # fmt: skip


def unnamed(fill: FillReport) -> FillReport:
    """As trade history says it."""
    return replace(fill, client_id="", source=ReportSource.READ)


LIVES: tuple[tuple[OrderRequest, tuple[Tracked, ...], Tracked], ...] = (
    (
        LIMIT,
        (
            said("NEW", 0, 10, "reply"),
            said("NEW", 0, 10),
            trade("1"),
            said("PARTIALLY_FILLED", 1, 20),
            unnamed(trade("1")),
            trade("2"),
            said("FILLED", 2, 30),
            unnamed(trade("2")),
        ),
        said("FILLED", 2, 30, "read"),
    ),
    (
        ALGO,
        (
            algo_said("NEW", 10),
            algo_said("TRIGGERED", 20, "8"),
            replace(said("NEW", 0, 20), client_id="venue-made", exchange_id="8", parent_id="900"),
            trade("1", "8", "venue-made"),
            trade("2", "8", "venue-made"),
            replace(said("FILLED", 2, 30), client_id="venue-made", exchange_id="8"),
            algo_said("FINISHED", 30, "8"),
        ),
        algo_said("FINISHED", 30, "8"),
    ),
)


@given(data=st.data(), life=st.sampled_from(LIVES))
def test_reports_in_any_order_repeated_or_read_later_give_one_state(
    data: st.DataObject, life: tuple[OrderRequest, tuple[Tracked, ...], Tracked]
) -> None:
    request, reports, _ = life
    reference = state_with(request)
    tell(reference, *reports, *reports)
    expected = picture(reference.orders[request.client_id])
    assert reference.orders[request.client_id].phase is OrderPhase.CLOSED

    state = state_with(request)
    heard = data.draw(st.lists(st.sampled_from(reports), max_size=20))
    filled, closed = Decimal(0), False
    for report in (*heard, *data.draw(st.permutations(reports)), *reports):
        tell(state, report)
        order = state.orders[request.client_id]
        assert order.filled_qty >= filled
        assert order.phase is OrderPhase.CLOSED or not closed
        filled, closed = order.filled_qty, order.phase is OrderPhase.CLOSED
    assert picture(state.orders[request.client_id]) == expected
    assert state.orders[request.client_id].fills.count == 2
    assert tell(state, *reports) == []


def test_an_order_of_a_503_that_fills_a_minute_later_is_found() -> None:
    state = state_with(LIMIT)
    unknown = conclude(state.orders[ENTRY], OrderUnknown(client_id=ENTRY, cause="503"))
    assert unknown is not None
    state.apply(unknown)
    tell(state, trade("1"), trade("2"), said("FILLED", 2, 60_000, "read"))
    order = state.orders[ENTRY]
    assert (order.phase, order.filled_qty) == (OrderPhase.CLOSED, Decimal(2))
    assert conclude(order, OrderUnknown(client_id=ENTRY, cause="late")) is None


def test_a_fill_before_its_acknowledgement_is_ours_and_counts_once() -> None:
    state = state_with(LIMIT)
    tell(state, trade("1"), said("NEW", 0, 10, "reply"), unnamed(trade("1")))
    order = state.orders[ENTRY]
    assert (order.phase, order.filled_qty) == (OrderPhase.ACKNOWLEDGED, Decimal(1))
    assert order.fills.commissions == {"USDT": Decimal("0.04")}


def test_a_reply_neither_fills_nor_ends_an_order() -> None:
    state = state_with(LIMIT)
    tell(state, said("FILLED", 2, 10, "reply"), said("CANCELED", 1, 11, "reply"))
    order = state.orders[ENTRY]
    assert (order.phase, order.status, order.filled_qty) == (
        OrderPhase.ACKNOWLEDGED, "NEW", Decimal(0),
    )  # fmt: skip


def test_replies_that_are_swapped_in_time_belong_to_their_own_orders() -> None:
    other = replace(LIMIT, client_id="s1-entry-c1")
    state = state_with(LIMIT, other)
    second = replace(said("NEW", 0, 12, "reply"), client_id=other.client_id, exchange_id="9")
    tell(state, second, said("NEW", 0, 10, "reply"))
    assert [order.exchange_id for order in state.orders.values()] == ["7", "9"]


def test_fees_are_found_by_the_id_of_the_child() -> None:
    state = state_with(ALGO)
    silent = replace(unnamed(trade("1", "8")), commission=None, commission_asset="")
    tell(state, silent)
    assert state.orders[STOP].fills.count == 0
    tell(state, algo_said("TRIGGERED", 20, "8"), unnamed(trade("1", "8")))
    assert state.orders[STOP].fills.commissions == {"USDT": Decimal("0.04")}
    assert not state.index.foreign_fills


def test_a_client_id_that_is_used_again_names_a_foreign_order() -> None:
    state = state_with(LIMIT)
    tell(state, said("CANCELED", 0, 20))
    again = replace(said("FILLED", 2, 30), exchange_id="99")
    assert state.owner_of(again) is None
    assert tell(state, again) == []


def test_the_id_of_an_untriggered_algo_order_that_is_used_again_names_a_foreign_order() -> None:
    """A child may have the client id of its algo order; one that was cancelled has no child."""
    state = state_with(ALGO)
    assert state.owner_of(trade("1", "8", STOP)) == STOP
    tell(state, algo_said("CANCELED", 20))
    again = replace(said("FILLED", 2, 30), client_id=STOP, exchange_id="99")
    assert state.owner_of(again) is None
    assert len(tell(state, again, trade("1", "99", STOP))) == 1
    assert state.orders[STOP].fills.count == 0


def test_an_order_with_the_id_of_a_list_is_none_of_its_legs() -> None:
    state = state_with(OCO)
    leg = replace(said("NEW", 0, 20), family=OrderFamily.SPOT_ORDER, client_id="s1-l-sl")
    assert state.owner_of(leg) == OCO.client_id
    assert state.owner_of(replace(leg, client_id=OCO.client_id)) is None


def test_a_trade_between_two_orders_of_the_account_counts_for_both() -> None:
    state = state_with(LIMIT)
    assert len(tell(state, trade("1"), trade("1", "55", "other"), trade("1"))) == 2
    assert state.orders[ENTRY].fills.count == 1


def test_an_unknown_status_is_kept_as_text_and_counts_as_open() -> None:
    state = state_with(LIMIT)
    tell(state, said("SUSPENDED_BY_MOON", 0, 20))
    order = state.orders[ENTRY]
    assert (order.status, order.is_open) == ("SUSPENDED_BY_MOON", True)


def test_ended_orders_and_old_fills_leave_memory_and_are_counted() -> None:
    state = ExecutionState(ended_orders_max=1, fills_max=1)
    for at, client_id in enumerate(("s1-a", "s1-b")):
        state.apply(planned(replace(LIMIT, client_id=client_id)))
        order_id = str(at)
        end = replace(said("CANCELED", 0, 20), client_id=client_id, exchange_id=order_id)
        tell(state, end, trade(str(at), order_id, client_id))
    assert list(state.orders) == ["s1-b"]
    assert (state.orders_forgotten, state.fills_forgotten) == (1, 1)
    assert state.fill_may_be_forgotten(trade("0", "0"), 0)
