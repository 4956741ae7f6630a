"""Events of the futures account, as Binance documents them."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import structs

from chimera_s1.adapters.binance.user_stream.event_reading import UserEvent, read_event
from chimera_s1.adapters.binance.user_stream.perp_events import PERP_EVENTS, WANTED_EVENTS
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    OrderReport,
    PositionReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.account_stream import AccountChanged

ORDER_UPDATE = (
    b'{"e":"ORDER_TRADE_UPDATE","E":1772879465651,"T":1772879465650,"o":{"s":"BTCUSDT",'
    b'"c":"cx-f-1","S":"BUY","o":"LIMIT","f":"GTX","q":"0.010","p":"67000","ap":"67000","sp":"0",'
    b'"x":"TRADE","X":"FILLED","i":8886774,"l":"0.010","z":"0.010","L":"67000","N":"USDT",'
    b'"n":"0.134","T":1772879465650,"t":10910,"b":"0","a":"0","m":true,"R":false,'
    b'"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"pP":false,"si":0,"ss":0,'
    b'"rp":"0","V":"EXPIRE_MAKER","pm":"NONE","gtd":0,"er":"0"}}'
)
ORDER = OrderReport(
    family=OrderFamily.PERP_ORDER,
    symbol=Symbol("BTCUSDT"),
    client_id="cx-f-1",
    exchange_id="8886774",
    side="BUY",
    type="LIMIT",
    status="FILLED",
    qty=Decimal("0.01"),
    filled_qty=Decimal("0.01"),
    at_ms=1_772_879_465_650,
    source=ReportSource.STREAM,
    price=Decimal(67_000),
    avg_price=Decimal(67_000),
    time_in_force="GTX",
    position_side="BOTH",
)
FILL = FillReport(
    venue=Venue.PERP,
    symbol=Symbol("BTCUSDT"),
    trade_id="10910",
    order_id="8886774",
    client_id="cx-f-1",
    side="BUY",
    qty=Decimal("0.01"),
    price=Decimal(67_000),
    at_ms=1_772_879_465_650,
    source=ReportSource.STREAM,
    commission=Decimal("0.134"),
    commission_asset="USDT",
    maker=True,
    position_side="BOTH",
)
ALGO_UPDATE = (
    b'{"e":"ALGO_UPDATE","T":1772515742297,"E":1772515742303,"o":{"caid":"cx-sl-1",'
    b'"aid":2148719,"at":"CONDITIONAL","o":"STOP_MARKET","s":"BTCUSDT","S":"SELL","ps":"BOTH",'
    b'"f":"GTC","q":"0.010","X":"TRIGGERED","ai":"8886799","ap":"0.00000","aq":"0.00000",'
    b'"act":"0","tp":"65000","p":"0","V":"EXPIRE_MAKER","wt":"MARK_PRICE","pm":"NONE","cp":false,'
    b'"pP":false,"R":true,"tt":1772515742290,"gtd":0,"rm":""}}'
)
ALGO = OrderReport(
    family=OrderFamily.PERP_ALGO,
    symbol=Symbol("BTCUSDT"),
    client_id="cx-sl-1",
    exchange_id="2148719",
    side="SELL",
    type="STOP_MARKET",
    status="TRIGGERED",
    qty=Decimal("0.01"),
    filled_qty=Decimal(0),
    at_ms=1_772_515_742_297,
    source=ReportSource.STREAM,
    trigger=Decimal(65_000),
    time_in_force="GTC",
    position_side="BOTH",
    reduce_only=True,
    child_id="8886799",
)


def read(event: bytes) -> UserEvent:
    return read_event(event, PERP_EVENTS)


def with_order(event: bytes, **fields: Any) -> bytes:
    decoded = msgspec.json.decode(event)
    order = {name: each for name, each in (decoded["o"] | fields).items() if each is not None}
    return msgspec.json.encode({**decoded, "o": order})


def test_a_trade_is_the_order_and_its_fill() -> None:
    assert read(ORDER_UPDATE) == UserEvent(name="ORDER_TRADE_UPDATE", reports=(ORDER, FILL))


@pytest.mark.parametrize("execution", ["NEW", "CANCELED", "AMENDMENT", "NOVEL"])
def test_an_execution_without_a_trade_has_no_fill(execution: str) -> None:
    event = with_order(ORDER_UPDATE, x=execution, X="NEW", t=0, l="0", L="0", z="0", ap="0")

    expected = structs.replace(ORDER, status="NEW", filled_qty=Decimal(0), avg_price=None)
    assert read(event).reports == (expected,)


def test_a_liquidation_is_a_fill_that_nobody_here_has_sent() -> None:
    event = with_order(ORDER_UPDATE, x="CALCULATED", c="autoclose-1", er="5")

    assert read(event).reports == (
        structs.replace(ORDER, client_id="autoclose-1", reason="expiry reason 5"),
        structs.replace(FILL, client_id="autoclose-1"),
    )


def test_a_missing_commission_is_unknown_and_not_nothing() -> None:
    (_, fill) = read(with_order(ORDER_UPDATE, n=None, N=None)).reports

    assert fill == structs.replace(FILL, commission=None, commission_asset="")


def test_the_fast_copy_of_a_trade_is_not_a_second_fill() -> None:
    event = read(
        b'{"e":"TRADE_LITE","E":1,"T":1,"s":"BTCUSDT","q":"0.010","p":"67000","m":true,'
        b'"c":"cx-f-1","S":"BUY","L":"67000","l":"0.010","t":10910,"i":8886774}'
    )

    assert event == UserEvent(name="TRADE_LITE")


def test_a_triggered_algo_order_names_its_child() -> None:
    assert read(ALGO_UPDATE) == UserEvent(name="ALGO_UPDATE", reports=(ALGO,))


@pytest.mark.parametrize("child", ["", "0", 0, None])
def test_an_algo_order_that_waits_has_no_child(child: object) -> None:
    (algo,) = read(with_order(ALGO_UPDATE, X="NEW", ai=child)).reports

    assert algo == structs.replace(ALGO, status="NEW", child_id="")


def test_a_rejected_algo_order_says_why() -> None:
    event = with_order(ALGO_UPDATE, X="REJECTED", ai="", rm="Reduce Only reject")

    expected = structs.replace(ALGO, status="REJECTED", child_id="", reason="Reduce Only reject")
    assert read(event).reports == (expected,)


def test_an_account_update_has_balances_and_positions_and_a_bad_row_costs_no_other() -> None:
    event = read(
        b'{"e":"ACCOUNT_UPDATE","E":1772798939939,"T":1772798939938,"a":{"m":"ORDER","B":['
        b'{"a":"BNB"},{"a":"USDT","wb":"122624.12345678","cw":"100.12345678","bc":"0"}],"P":['
        b'{"s":"ETHUSDT","pa":"x","ep":"1","ps":"BOTH"},'
        b'{"s":"BTCUSDT","pa":"-0.010","ep":"67000.0","bep":"67013.4","cr":"0","up":"0",'
        b'"mt":"cross","iw":"0","ps":"SHORT"}]}}'
    )

    assert event.reports == (
        BalanceReport(
            wallet="FUT",
            asset="USDT",
            free=Decimal("122624.12345678"),
            locked=Decimal(0),
            at_ms=1_772_798_939_938,
        ),
        PositionReport(
            symbol=Symbol("BTCUSDT"),
            position_side="SHORT",
            qty=Decimal("-0.01"),
            entry_price=Decimal(67_000),
            at_ms=1_772_798_939_938,
        ),
    )
    assert "a row of event ACCOUNT_UPDATE" in event.problem


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b'{"e":"ACCOUNT_UPDATE","E":1,"T":1,"a":{"m":"MARGIN_TYPE_CHANGE"}}', "margin type"),
        (
            b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ac":{"s":"BTCUSDT","l":25}}',
            "leverage of BTCUSDT",
        ),
        (b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ai":{"j":true}}', "multi-assets mode"),
        (b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"zz":{}}', "configuration"),
        (b'{"e":"MARGIN_CALL","E":1,"cw":"3.16","p":[]}', "margin call"),
    ],
)
def test_a_changed_configuration_asks_for_a_read(raw: bytes, what: str) -> None:
    assert read(raw).reports == (AccountChanged(what=what),)


def test_the_time_of_an_expired_key_may_be_text() -> None:
    event = read(b'{"e":"listenKeyExpired","E":"1693427319838","listenKey":"x"}')

    assert event == UserEvent(name="listenKeyExpired")


def test_every_event_that_is_asked_for_is_known() -> None:
    assert set(WANTED_EVENTS) <= set(PERP_EVENTS)


def test_a_problem_shows_no_key() -> None:
    key = "a" * 64
    event = with_order(ORDER_UPDATE, q=key)

    assert key[:20] not in read(event).problem
