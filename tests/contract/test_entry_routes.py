"""Entries over HTTP: every refusal has its own code, and nothing is sent then."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.reports import ReportSource
from chimera_s1.domain.operations.trading_mode import TradingMode
from tests.contract.entry_desk import BODY, FUTURES, READER, SPOT, SPOT_BODY, Desk


async def test_an_entry_is_accepted_once_and_shown() -> None:
    desk = Desk()
    first = await desk.post(FUTURES, BODY)
    again = await desk.post(FUTURES, {**BODY, "qty": 2.0, "limit_price": "100.00"})

    assert first.status_code == again.status_code == 200, first.text
    assert first.headers["location"] == f"{FUTURES}/s4-1"
    assert len(desk.world.exchange.sent) == 1
    shown = await desk.get(f"{FUTURES}/s4-1")
    assert (shown["entry_id"], shown["state"], shown["filled_qty"]) == ("s4-1", "WORKING", "0")
    assert [(row["role"], row["status"]) for row in shown["orders"]] == [("e", "NEW")]
    assert shown["waiting_for"].startswith("the limit order, until ")
    assert [row["text"].partition(":")[0] for row in shown["timeline"]] == [
        "accepted",
        "entry order",
        "entry order",
    ]
    listed = await desk.get(f"{FUTURES}?open=true&symbol=BTCUSDT&state=WORKING")
    assert [row["entry_id"] for row in listed["entries"]] == ["s4-1"]
    assert (await desk.get(SPOT))["entries"] == []


async def test_an_entry_is_shown_without_its_timeline_while_the_store_is_away() -> None:
    desk = Desk()
    await desk.post(FUTURES, BODY)
    desk.world.store.unavailable = True
    shown = await desk.get(f"{FUTURES}/s4-1")

    assert (shown["state"], shown["timeline"]) == ("WORKING", None)


async def test_a_spot_entry_is_accepted() -> None:
    desk = Desk()
    reply = await desk.post(SPOT, SPOT_BODY)

    assert reply.status_code == 200, reply.text
    assert reply.headers["location"] == f"{SPOT}/s4-2"
    entry_order = order_id("s4-2", OrderRole.ENTRY)
    desk.world.exchange.fill(entry_order, "2", "t1")
    read = desk.world.exchange.order(entry_order).report(ReportSource.READ)
    await desk.instance.orders.ledger.record("test", read)
    await desk.world.clock.sleep_ms(5)
    shown = await desk.get(f"{SPOT}/s4-2")
    assert (shown["state"], shown["protected_qty"]) == ("FILLED", "0")
    assert shown["unprotected_ms"] > 0


async def test_a_cancel_is_stored_and_answers_with_the_entry() -> None:
    desk = Desk()
    await desk.post(FUTURES, BODY)
    for body in (None, {"disarm": True}):
        reply = await desk.post(f"{FUTURES}/s4-1/cancel", body)
        assert reply.status_code == 200, reply.text
    cancel = desk.instance.entry.cancel

    assert cancel is not None
    assert (cancel.disarm, cancel.actor) == (True, "s4/trader1")
    missing = await desk.post(f"{SPOT}/s4-1/cancel")
    assert (missing.status_code, missing.json()["code"]) == (404, "entry.not_found")


REFUSED: list[tuple[str, dict[str, Any], int, str, str]] = [
    (FUTURES, {"client_order_id": None}, 400, "key_missing", "Idempotency-Key"),
    (FUTURES, {"client_order_id": "a b"}, 400, "key_invalid", "client_order_id"),
    (FUTURES, {"entry_id": "s4-9"}, 400, "key_mismatch", "client_order_id and entry_id differ"),
    (FUTURES, {"symbol": None}, 400, "request.invalid", "symbol is missing"),
    (FUTURES, {"side": "LONG"}, 400, "request.invalid", "one of BUY, SELL"),
    (FUTURES, {"qty": "1e3"}, 400, "request.invalid", "qty is a text, not a decimal number"),
    (FUTURES, {"qty": 0}, 400, "request.invalid", "qty is 0"),
    (FUTURES, {"timeout_ms": 1.5}, 400, "request.invalid", "timeout_ms is a number, not a whole"),
    (FUTURES, {"leverage": 5}, 400, "request.invalid", "leverage is unknown"),
    (FUTURES, {"timeout_ms": 999}, 422, "entry.timeout_range", "1000 to 600000"),
    (FUTURES, {"stop_price": 101}, 422, "entry.stop_side", "must be below limit_price 100"),
    (FUTURES, {"limit_price": "99.95"}, 422, "execution.order_rules", "99.9 would be right"),
    (FUTURES, {"qty": "2.0001"}, 422, "execution.order_rules", "2 would be right"),
    (FUTURES, {"qty": "11"}, 422, "entry.max_usdt", "1100 USDT; at most 1000"),
    (FUTURES, {"position_side": "LONG"}, 422, "entry.position_side", "leave position_side out"),
    (SPOT, {"quote_usdt": 200}, 400, "request.invalid", "either qty"),
    (SPOT, {"sl_trigger_price": 111}, 422, "entry.stop_side", "must be below tp_price"),
]


@pytest.mark.parametrize(
    ("path", "change", "status", "code", "text"), REFUSED, ids=[f"{r[3]} {r[4]}" for r in REFUSED]
)
async def test_a_refusal_has_its_own_code_and_the_number_that_would_be_right(
    path: str, change: dict[str, Any], status: int, code: str, text: str
) -> None:
    desk = Desk()
    usual = BODY if path == FUTURES else SPOT_BODY
    body = {name: value for name, value in {**usual, **change}.items() if value is not None}
    reply = await desk.post(path, body)

    problem = reply.json()
    assert (reply.status_code, problem["code"]) == (status, code), problem
    assert text in problem["detail"]
    assert desk.world.exchange.sent == []
    assert await desk.world.event_types() == []


async def test_a_key_belongs_to_one_body_on_both_venues() -> None:
    desk = Desk()
    await desk.post(FUTURES, BODY)
    other = await desk.post(FUTURES, {**BODY, "qty": "1"})
    on_spot = await desk.post(SPOT, {**SPOT_BODY, "entry_id": "s4-1"})

    for reply in (other, on_spot):
        assert (reply.status_code, reply.json()["code"]) == (422, "entry.key_reused")
        assert reply.json()["entry_id"] == "s4-1"


async def test_a_mode_a_missing_scope_and_a_store_that_is_away_are_told_apart() -> None:
    desk = Desk()
    without_scope = await desk.post(FUTURES, BODY, token=READER)
    assert without_scope.status_code == 403

    desk.world.switches.mode = TradingMode.MANAGE_ONLY
    manage_only = await desk.post(FUTURES, BODY)
    assert (manage_only.status_code, manage_only.json()["code"]) == (409, "mode_manage_only")

    desk.world.switches.mode = TradingMode.NORMAL
    desk.world.store.unavailable = True
    away = await desk.post(FUTURES, BODY)
    assert (away.status_code, away.json()["code"]) == (503, "store.unavailable")
    assert "retry-after" in away.headers
    desk.world.store.unavailable = False
    assert (await desk.post(FUTURES, BODY)).status_code == 200
    assert len(desk.world.exchange.sent) == 1


async def test_an_entry_that_others_have_used_the_cap_for_is_refused() -> None:
    desk = Desk()
    desk.instance.limits = structs.replace(desk.instance.limits, daily_cap=Decimal(399))
    await desk.post(FUTURES, BODY)
    reply = await desk.post(FUTURES, {**BODY, "client_order_id": "s4-3"})

    assert (reply.status_code, reply.json()["code"]) == (422, "entry.daily_cap")
    assert "199 of 399 are left today" in reply.json()["detail"]
