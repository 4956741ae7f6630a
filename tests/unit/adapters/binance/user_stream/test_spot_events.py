"""Events of the spot account, as Binance documents them."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import structs

from chimera_s1.adapters.binance.user_stream.event_reading import UserEvent, read_event
from chimera_s1.adapters.binance.user_stream.spot_events import SPOT_EVENTS
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    LegRef,
    OrderListReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.account_stream import AccountChanged

EXECUTION_REPORT = (
    b'{"e":"executionReport","E":1772405658658,"s":"BTCUSDT","c":"cx-e-1","S":"BUY",'
    b'"o":"LIMIT_MAKER","f":"GTC","q":"0.01000000","p":"67000.00","P":"0.00","F":"0.00","g":-1,'
    b'"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":4293153,"l":"0.00400000",'
    b'"z":"0.00400000","L":"67000.00","n":"0.00000400","N":"BTC","T":1772405658657,"t":77,'
    b'"I":8641984,"w":true,"m":true,"M":false,"O":1772405600000,"Z":"268.00000000",'
    b'"Y":"268.00000000","Q":"0.00000000","W":1772405600000,"V":"EXPIRE_MAKER"}'
)
ORDER = OrderReport(
    family=OrderFamily.SPOT_ORDER,
    symbol=Symbol("BTCUSDT"),
    client_id="cx-e-1",
    exchange_id="4293153",
    side="BUY",
    type="LIMIT_MAKER",
    status="PARTIALLY_FILLED",
    qty=Decimal("0.01"),
    filled_qty=Decimal("0.004"),
    at_ms=1_772_405_658_657,
    source=ReportSource.STREAM,
    price=Decimal(67_000),
    avg_price=Decimal(67_000),
    time_in_force="GTC",
)
FILL = FillReport(
    venue=Venue.SPOT,
    symbol=Symbol("BTCUSDT"),
    trade_id="77",
    order_id="4293153",
    client_id="cx-e-1",
    side="BUY",
    qty=Decimal("0.004"),
    price=Decimal(67_000),
    at_ms=1_772_405_658_657,
    source=ReportSource.STREAM,
    commission=Decimal("0.000004"),
    commission_asset="BTC",
    maker=True,
)


def read(event: bytes) -> UserEvent:
    return read_event(event, SPOT_EVENTS)


def changed(**fields: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(EXECUTION_REPORT), **fields})


def test_a_trade_is_the_order_and_its_fill() -> None:
    assert read(EXECUTION_REPORT) == UserEvent(name="executionReport", reports=(ORDER, FILL))


@pytest.mark.parametrize("execution", ["NEW", "EXPIRED", "REPLACED", "TRADE_PREVENTION", "NOVEL"])
def test_an_execution_without_a_trade_has_no_fill(execution: str) -> None:
    event = changed(x=execution, t=-1, l="0.00000000", L="0.00000000", n="0", N=None, z="0", Z="0")

    expected = structs.replace(ORDER, filled_qty=Decimal(0), avg_price=None)
    assert read(event).reports == (expected,)


def test_on_a_cancel_the_orders_own_id_is_the_original_one() -> None:
    event = changed(x="CANCELED", X="CANCELED", c="cancel-1", C="cx-e-1", t=-1)

    assert read(event).reports == (structs.replace(ORDER, status="CANCELED"),)


def test_a_fill_without_commission_says_so() -> None:
    (_, fill) = read(changed(n="0", N=None)).reports

    assert fill == structs.replace(FILL, commission=Decimal(0), commission_asset="")


def test_an_unknown_status_type_and_side_are_kept() -> None:
    (order,) = read(changed(x="NEW", X="HALTED", o="PEGGED", S="SHORT", t=-1)).reports

    assert order == structs.replace(ORDER, status="HALTED", type="PEGGED", side="SHORT")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"r": "INSUFFICIENT_BALANCES"}, "INSUFFICIENT_BALANCES"),
        ({"eR": "OCO_TRIGGER"}, "OCO_TRIGGER"),
    ],
)
def test_the_reason_is_in_binances_words(fields: dict[str, str], reason: str) -> None:
    (order,) = read(changed(x="EXPIRED", t=-1, **fields)).reports

    assert order == structs.replace(ORDER, reason=reason)


def test_a_leg_names_its_list_and_a_stop_its_trigger() -> None:
    (order,) = read(changed(x="NEW", t=-1, g=12, P="65100.00")).reports

    assert order == structs.replace(ORDER, list_id="12", trigger=Decimal(65_100))


def test_a_list_status_has_its_legs() -> None:
    event = read(
        b'{"e":"listStatus","E":1772035303637,"s":"BTCUSDT","g":2,"c":"OCO","l":"EXEC_STARTED",'
        b'"L":"EXECUTING","r":"NONE","C":"cx-l-1","T":1772035303625,"O":[{"s":"BTCUSDT","i":17,'
        b'"c":"cx-l-1-sl"},{"s":"BTCUSDT","i":18,"c":"cx-l-1-tp"}]}'
    )

    assert event.reports == (
        OrderListReport(
            symbol=Symbol("BTCUSDT"),
            client_id="cx-l-1",
            exchange_id="2",
            status="EXECUTING",
            legs=(
                LegRef(client_id="cx-l-1-sl", exchange_id="17"),
                LegRef(client_id="cx-l-1-tp", exchange_id="18"),
            ),
            at_ms=1_772_035_303_625,
            source=ReportSource.STREAM,
        ),
    )


def test_balances_are_absolute_and_a_bad_row_does_not_cost_the_others() -> None:
    event = read(
        b'{"e":"outboundAccountPosition","E":1772571105105,"u":1772571105073,'
        b'"B":[{"a":"BTC","f":"NaN","l":"0"},{"a":"USDT","f":"10000.000000","l":"1.50"}]}'
    )

    assert event.reports == (
        BalanceReport(
            wallet="SPOT",
            asset="USDT",
            free=Decimal(10_000),
            locked=Decimal("1.5"),
            at_ms=1_772_571_105_073,
        ),
    )
    assert event.problem == (
        "a row of event outboundAccountPosition cannot be read: f 'NaN' is not a decimal number"
    )


def test_a_change_of_a_balance_asks_for_a_read() -> None:
    event = read(
        b'{"e":"balanceUpdate","E":1772200697110,"a":"USDT","d":"-25.00000117","T":1772200697068}'
    )

    assert event.reports == (AccountChanged(what="balance of USDT"),)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"e":"liquidityBonus","E":1}', UserEvent(name="liquidityBonus", known=False)),
        (
            b'{"e":"executionReport","E":1}',
            UserEvent(
                name="executionReport",
                problem="event executionReport cannot be read: Object missing required field `s`",
            ),
        ),
        (
            changed(q="1e999999999"),
            UserEvent(
                name="executionReport",
                problem="event executionReport cannot be read: number 1E+999999999 is not a number "
                "of at most 40 digits",
            ),
        ),
        (
            b'{"e":"executionReport"',
            UserEvent(name="", problem="a message cannot be read: Input data was truncated"),
        ),
        (
            b"[1]",
            UserEvent(name="", problem="a message cannot be read: Expected `object`, got `array`"),
        ),
    ],
    ids=["unknown", "fields", "number", "truncated", "array"],
)
def test_what_is_unknown_or_unreadable_is_said(raw: bytes, expected: UserEvent) -> None:
    assert read(raw) == expected
