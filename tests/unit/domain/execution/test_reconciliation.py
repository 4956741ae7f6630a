"""Open orders of the exchange against the ledger's."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.execution.foreign_orders import label_of
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reconciliation import (
    DifferenceKind,
    ListedOrder,
    OpenOrdersJudgement,
    judge_open_orders,
    repairs,
)
from chimera_s1.domain.execution.reports import OrderReport, ReportSource
from chimera_s1.domain.execution.tracked_order import FillTotals, OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.unit.domain.execution.test_observation import LIMIT

BTC = Symbol("BTCUSDT")
READ_MS = 1_796_000_000_000
OLD_MS = READ_MS - QUERY_LAG_MS


def own(
    client_id: str,
    phase: OrderPhase = OrderPhase.ACKNOWLEDGED,
    *,
    at_ms: int = OLD_MS,
    filled: int = 0,
    fills: int = 0,
) -> TrackedOrder:
    return TrackedOrder(
        request=replace(LIMIT, client_id=client_id),
        entry_id="",
        phase=phase,
        signed_at_ms=at_ms,
        recv_window_ms=2_000,
        exchange_id=client_id,
        status={OrderPhase.ACKNOWLEDGED: "NEW", OrderPhase.CLOSED: "FILLED"}.get(phase, ""),
        reported_qty=Decimal(filled),
        fills=FillTotals(qty=Decimal(fills)),
    )


def listed(client_id: str) -> OrderReport:
    return OrderReport(
        family=OrderFamily.PERP_ORDER,
        symbol=BTC,
        client_id=client_id,
        exchange_id="1",
        side="BUY",
        type="LIMIT",
        status="NEW",
        qty=Decimal(1),
        filled_qty=Decimal(0),
        at_ms=READ_MS,
        source=ReportSource.READ,
    )


def judge(orders: list[TrackedOrder], reports: list[OrderReport]) -> OpenOrdersJudgement:
    known = {order.client_id: order for order in orders}

    def owner_of(report: ListedOrder) -> str | None:
        return report.client_id if report.client_id in known else None

    return judge_open_orders(Venue.PERP, known, reports, owner_of=owner_of, read_from_ms=READ_MS)


def test_listed_orders_are_matched_or_foreign() -> None:
    judged = judge([own("s1-a-e")], [listed("s1-a-e"), listed("s4-7"), listed("autoclose-9")])
    assert judged.matched == ("s1-a-e",)
    assert [report.client_id for report in judged.ours] == ["s1-a-e"]
    assert [(each.report.client_id, each.label) for each in judged.foreign] == [
        ("s4-7", "s4"),
        ("autoclose-9", "liquidation"),
    ]
    assert not judged.look_up
    assert not judged.differences


def test_an_order_with_our_prefix_that_the_ledger_lacks_is_said() -> None:
    judged = judge([], [listed("s1-lost-e")])
    (difference,) = judged.differences
    assert difference.kind is DifferenceKind.ORDER_UNKNOWN
    assert [each.label for each in judged.foreign] == ["s1"]


def test_a_missing_order_is_looked_up_and_a_young_one_is_not() -> None:
    young = own("s1-young-e", at_ms=OLD_MS + 1)
    judged = judge([own("s1-old-e"), young], [])
    assert [order.client_id for order in judged.look_up] == ["s1-old-e"]
    assert judged.young == ("s1-young-e",)
    assert not judged.differences


@pytest.mark.parametrize("state", [OrderPhase.CLOSED, OrderPhase.ABSENT])
def test_an_order_that_ended_long_ago_and_is_listed_is_said_and_looked_up(
    state: OrderPhase,
) -> None:
    judged = judge([own("s1-a-e", state)], [listed("s1-a-e")])
    assert [each.kind for each in judged.differences] == [DifferenceKind.ORDER_REAPPEARED]
    assert [order.client_id for order in judged.look_up] == ["s1-a-e"]


def test_an_old_listing_of_an_order_that_just_ended_means_nothing() -> None:
    judged = judge([own("s1-a-e", OrderPhase.CLOSED, at_ms=OLD_MS + 1)], [listed("s1-a-e")])
    assert not judged.differences
    assert not judged.look_up


@given(
    st.lists(
        st.tuples(st.sampled_from(OrderPhase), st.integers(0, 2 * QUERY_LAG_MS), st.booleans()),
        max_size=8,
    ),
    st.lists(st.sampled_from(["s4-1", "web_2", "x", "s1-lost-e", "adl_autoclose"]), max_size=4),
)
def test_no_absence_is_concluded_whatever_is_listed(
    orders: list[tuple[OrderPhase, int, bool]], others: list[str]
) -> None:
    ours = [
        own(f"s1-{n}-e", state, at_ms=READ_MS - age) for n, (state, age, _) in enumerate(orders)
    ]
    shown = [order for order, (_, _, is_shown) in zip(ours, orders, strict=True) if is_shown]
    judged = judge(ours, [listed(each) for each in (*(o.client_id for o in shown), *others)])
    hidden_open = {
        o.client_id for o in ours if o not in shown and o.phase is OrderPhase.ACKNOWLEDGED
    }
    looked_up = {o.client_id for o in judged.look_up}
    assert hidden_open == (looked_up | set(judged.young)) - {o.client_id for o in shown}
    assert all(order.signed_at_ms <= OLD_MS for order in judged.look_up)
    assert {each.kind for each in judged.differences} <= {
        DifferenceKind.ORDER_UNKNOWN,
        DifferenceKind.ORDER_REAPPEARED,
    }
    assert sorted(each.report.client_id for each in judged.foreign) == sorted(others)


def test_a_repair_shows_the_state_before_and_after() -> None:
    before = {"s1-a-e": own("s1-a-e"), "s1-b-e": own("s1-b-e")}
    after = {
        "s1-a-e": own("s1-a-e", OrderPhase.CLOSED, filled=2, fills=2),
        "s1-b-e": own("s1-b-e"),
        "s1-new-e": own("s1-new-e"),
    }
    (repair,) = repairs(before, after)
    assert (repair.client_id, repair.before, repair.after) == (
        "s1-a-e",
        "NEW filled 0",
        "FILLED filled 2",
    )


@pytest.mark.parametrize(
    ("client_id", "label"),
    [
        ("s4-1", "s4"),
        ("autoclose-1", "liquidation"),
        ("adl_autoclose", "adl"),
        ("settlement_autoclose-1", "settlement"),
        ("web_1", "other"),
        ("s1-x-e", "s1"),
        ("", "other"),
    ],
)
def test_labels(client_id: str, label: str) -> None:
    assert label_of(client_id) == label
