"""An order against the rules of its instrument; each violation names a value that passes."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    Limit,
    LimitMaker,
    Market,
    MarketForQuote,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
    Stop,
    StopLimit,
    TakeProfit,
    TakeProfitLimit,
    TimeInForce,
    WorkingType,
)
from chimera_s1.domain.execution.order_rules_check import (
    CurrentPrices,
    check_order,
    require_order_rules,
)
from chimera_s1.domain.execution.order_violations import OrderRulesError, RuleCode, RuleViolation
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec

BTC = Symbol("BTCUSDT")
SPOT_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT")
SPOT = InstrumentSpec(
    instrument=InstrumentId(Venue.SPOT, BTC),
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    step_size=Decimal("0.00001"),
    min_qty=Decimal("0.00001"),
    max_qty=Decimal(9_000),
    market_step_size=Decimal("0.00001"),
    market_min_qty=Decimal("0.00001"),
    market_max_qty=Decimal(120),
    min_notional=Decimal(5),
    max_notional=Decimal(9_000_000),
    market_min_notional=Decimal(5),
    order_types=(*SPOT_TYPES, "TAKE_PROFIT_LIMIT"),
    oco_allowed=True,
    filters=(
        (
            '{"askMultiplierDown":"0.2","askMultiplierUp":"5","avgPriceMins":5,'
            '"bidMultiplierDown":"0.2","bidMultiplierUp":"5",'
            '"filterType":"PERCENT_PRICE_BY_SIDE"}'
        ),
        '{"filterType":"FROM_THE_FUTURE"}',
    ),
)
PERP = replace(
    SPOT,
    instrument=InstrumentId(Venue.PERP, BTC),
    tick_size=Decimal("0.1"),
    min_price=Decimal("556.8"),
    step_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1_000),
    market_step_size=Decimal("0.001"),
    market_min_qty=Decimal("0.001"),
    min_notional=Decimal(100),
    max_notional=None,
    market_min_notional=Decimal(100),
    order_types=("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"),
    times_in_force=("GTC", "IOC", "FOK", "GTX"),
    filters=('{"filterType":"PERCENT_PRICE","multiplierDown":"0.95","multiplierUp":"1.05"}',),
)
PRICES = CurrentPrices(bid=Decimal("67000.0"), ask=Decimal("67000.1"), reference=Decimal(67_000))
GTC, GTX = TimeInForce.GTC, TimeInForce.GTX
OPENS, REDUCES = OneWay(reduce_only=False), OneWay(reduce_only=True)


def number(text: str) -> Decimal:
    return Decimal(text)


def spot(body: Any, side: Side = Side.BUY, client_id: str = "s1-a-1") -> SpotOrder:
    return SpotOrder(client_id=client_id, symbol=BTC, side=side, body=body)


def perp(body: Any, side: Side = Side.BUY, scope: Any = OPENS) -> PerpOrder:
    return PerpOrder(client_id="s1-a-1", symbol=BTC, side=side, scope=scope, body=body)


def algo(
    body: Any, side: Side = Side.SELL, working: WorkingType = WorkingType.CONTRACT_PRICE
) -> PerpAlgoOrder:
    return PerpAlgoOrder(
        client_id="s1-a-1", symbol=BTC, side=side, scope=REDUCES, working_type=working, body=body
    )


def limit(price: str, qty: str = "0.01", time_in_force: TimeInForce = GTC) -> Limit:
    return Limit(qty=number(qty), price=number(price), time_in_force=time_in_force)


def oco(
    side: Side = Side.SELL,
    *,
    profit: str = "68000",
    trigger: str = "66000",
    stop_limit: str = "",
    qty: str = "0.01",
    stop_id: str = "s1-l-sl",
) -> SpotOco:
    stop = OcoStop(
        client_id=stop_id,
        trigger=number(trigger),
        limit=number(stop_limit) if stop_limit else None,
    )
    take_profit = OcoTakeProfit(client_id="s1-l-tp", price=number(profit))
    return SpotOco(
        client_id="s1-l-1",
        symbol=BTC,
        side=side,
        qty=number(qty),
        take_profit=take_profit,
        stop=stop,
    )


def broken(request: OrderRequest, spec: InstrumentSpec) -> list[tuple[str, str, str, str]]:
    found = check_order(request, spec, PRICES)
    return [(each.code.value, each.field, each.value, each.right) for each in found]


@pytest.mark.parametrize(
    ("request_", "spec"),
    [
        (spot(limit("67000.01")), SPOT),
        (spot(LimitMaker(qty=number("0.01"), price=number("66000"))), SPOT),
        (spot(Market(qty=number("0.01"))), SPOT),
        (spot(MarketForQuote(quote_qty=number("5"))), SPOT),
        (spot(Stop(qty=number("0.01"), trigger=number("68000"))), SPOT),
        (spot(Stop(qty=number("0.01"), trigger=number("66000")), Side.SELL), SPOT),
        (spot(TakeProfit(qty=number("0.01"), trigger=number("66000"))), SPOT),
        (oco(), SPOT),
        (oco(stop_limit="65000"), SPOT),
        (oco(Side.BUY, profit="66000", trigger="68000"), SPOT),
        (perp(limit("66999.9", time_in_force=GTX)), PERP),
        (perp(Market(qty=number("0.01"))), PERP),
        (algo(Stop(qty=number("0.01"), trigger=number("66000"))), PERP),
        (algo(TakeProfit(qty=number("0.01"), trigger=number("68000"))), PERP),
        # Between bid and ask the exchange decides.
        (algo(Stop(qty=number("0.01"), trigger=number("67000"))), PERP),
    ],
)
def test_a_legal_order_breaks_nothing(request_: OrderRequest, spec: InstrumentSpec) -> None:
    assert check_order(request_, spec, PRICES) == ()
    assert check_order(request_, spec, None) == ()


@pytest.mark.parametrize(
    ("request_", "spec", "expected"),
    [
        # A price is not made more aggressive than it was asked for.
        (spot(limit("67000.015")), SPOT, ("tick", "price", "67000.015", "67000.01")),
        (spot(limit("67000.015"), Side.SELL), SPOT, ("tick", "price", "67000.015", "67000.02")),
        (spot(limit("0.001", "900")), SPOT, ("tick", "price", "0.001", "13400")),
        (perp(limit("67000.05")), PERP, ("tick", "price", "67000.05", "67000")),
        (perp(limit("71000")), PERP, ("price_band", "price", "71000", "70350")),
        (perp(limit("60000"), Side.SELL), PERP, ("price_band", "price", "60000", "63650")),
        (spot(limit("67000", "0.010005")), SPOT, ("step", "qty", "0.010005", "0.01")),
        (perp(Market(qty=number("0.0115"))), PERP, ("step", "qty", "0.0115", "0.011")),
        (perp(Market(qty=number("500"))), PERP, ("market_qty_max", "qty", "500", "120")),
        (perp(limit("67000", "5000")), PERP, ("qty_max", "qty", "5000", "1000")),
        (perp(limit("66999.9", "0.001")), PERP, ("notional_min", "qty", "0.001", "0.002")),
        (perp(Market(qty=number("0.001"))), PERP, ("notional_min", "qty", "0.001", "0.002")),
        (spot(limit("67000", "0.00007")), SPOT, ("notional_min", "qty", "0.00007", "0.00008")),
        (spot(limit("67000", "200")), SPOT, ("notional_max", "qty", "200", "134.32835")),
        (
            spot(MarketForQuote(quote_qty=number("4.99"))),
            SPOT,
            ("notional_min", "quote_qty", "4.99", "5"),
        ),
        (
            algo(Stop(qty=number("0.01"), trigger=number("67000.1"))),
            PERP,
            ("price_side", "trigger", "67000.1", "66999.9"),
        ),
        (
            algo(Stop(qty=number("0.01"), trigger=number("66000")), Side.BUY),
            PERP,
            ("price_side", "trigger", "66000", "67000.2"),
        ),
        (
            algo(TakeProfit(qty=number("0.01"), trigger=number("66000"))),
            PERP,
            ("price_side", "trigger", "66000", "67000.2"),
        ),
        (
            algo(
                Stop(qty=number("0.01"), trigger=number("67000")),
                working=WorkingType.MARK_PRICE,
            ),
            PERP,
            ("price_side", "trigger", "67000", "66999.9"),
        ),
        (oco(trigger="68500"), SPOT, ("price_side", "stop.trigger", "68500", "66999.99")),
        (
            oco(profit="66000", trigger="65000"),
            SPOT,
            ("price_side", "take_profit.price", "66000", "67000.11"),
        ),
        (oco(qty="130"), SPOT, ("market_qty_max", "qty", "130", "120")),
        (oco(stop_id="s1-l-tp"), SPOT, ("client_id", "stop.client_id", "s1-l-tp", "")),
        (
            spot(limit("67000"), client_id="s1 " + 40 * "x"),
            SPOT,
            ("client_id", "client_id", "s1 " + 40 * "x", "s1-" + 33 * "x"),
        ),
        (spot(limit("67000", time_in_force=GTX)), SPOT, ("time_in_force", *3 * [""])),
        (oco(), replace(SPOT, oco_allowed=False), ("order_type", "type", "OCO", "")),
        (
            oco(),
            replace(SPOT, order_types=("LIMIT_MAKER", "STOP_LOSS_LIMIT")),
            ("order_type", "type", "STOP_LOSS", "STOP_LOSS_LIMIT"),
        ),
        (spot(limit("NaN")), SPOT, ("number", "price", "NaN", "")),
        (spot(limit("67000", "-1")), SPOT, ("qty_min", "qty", "-1", "0.00008")),
    ],
)
def test_a_broken_rule_is_named_with_the_value_that_is_right(
    request_: OrderRequest, spec: InstrumentSpec, expected: tuple[str, str, str, str]
) -> None:
    if expected[0] == "time_in_force":
        expected = ("time_in_force", "time_in_force", "GTX", "GTC")
    assert expected in broken(request_, spec)


@pytest.mark.parametrize(
    ("side", "scope", "exempt"),
    [
        (Side.SELL, OPENS, False),
        (Side.SELL, REDUCES, True),
        (Side.SELL, Hedged(position_side=HedgeSide.LONG), True),
        (Side.BUY, Hedged(position_side=HedgeSide.LONG), False),
        (Side.BUY, Hedged(position_side=HedgeSide.SHORT), True),
        (Side.SELL, Hedged(position_side=HedgeSide.SHORT), False),
    ],
)
def test_what_only_reduces_needs_no_minimum_notional(
    side: Side, scope: OneWay | Hedged, *, exempt: bool
) -> None:
    found = broken(perp(Market(qty=number("0.001")), side, scope), PERP)
    assert [each[0] for each in found] == ([] if exempt else ["notional_min"])


def test_rules_that_need_a_price_are_left_to_the_exchange_without_one() -> None:
    too_late = algo(Stop(qty=number("0.01"), trigger=number("90000")))
    assert check_order(too_late, PERP, None) == ()
    far = perp(limit("90000"))
    assert check_order(far, PERP, CurrentPrices(bid=PRICES.bid, ask=PRICES.ask)) == ()


def test_every_code_is_documented() -> None:
    page = (Path(__file__).parents[4] / "docs" / "order-rules.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == [
        each.value for each in RuleCode
    ]


def test_all_violations_are_in_one_error() -> None:
    with pytest.raises(OrderRulesError) as refused:
        require_order_rules(perp(limit("67000.05", "0.0005")), PERP, PRICES)
    assert str(refused.value) == (
        "perp/BTCUSDT: price 67000.05 must be a multiple of 0.1 from 556.8 (tick); 67000 would be "
        "right; qty 0.0005 must be a multiple of 0.001 (step); 0.002 would be right; qty 0.0005 "
        "must be at least 0.001 (qty_min); 0.002 would be right; qty 0.0005 at 67000 must be "
        "worth at least 100 (notional_min); 0.002 would be right"
    )
    require_order_rules(perp(limit("67000")), PERP, PRICES)


# The property: what is said to be right passes.

decimals = st.decimals("0", "200000", places=4) | st.decimals("-1", "3", places=8)
sides = st.sampled_from(Side)
times = st.sampled_from(TimeInForce)
bodies = st.one_of(
    st.builds(Limit, qty=decimals, price=decimals, time_in_force=times),
    st.builds(LimitMaker, qty=decimals, price=decimals),
    st.builds(Market, qty=decimals),
    st.builds(MarketForQuote, quote_qty=decimals),
    st.builds(Stop, qty=decimals, trigger=decimals),
    st.builds(StopLimit, qty=decimals, trigger=decimals, price=decimals, time_in_force=times),
    st.builds(TakeProfit, qty=decimals, trigger=decimals),
    st.builds(TakeProfitLimit, qty=decimals, trigger=decimals, price=decimals, time_in_force=times),
)
ids = st.text(min_size=1, max_size=40)
spot_requests = st.builds(SpotOrder, client_id=ids, symbol=st.just(BTC), side=sides, body=bodies)
ocos = st.builds(
    SpotOco,
    client_id=ids,
    symbol=st.just(BTC),
    side=sides,
    qty=decimals,
    take_profit=st.builds(OcoTakeProfit, client_id=st.just("s1-tp"), price=decimals),
    stop=st.builds(
        OcoStop, client_id=st.just("s1-sl"), trigger=decimals, limit=st.none() | decimals
    ),
)
scopes = st.builds(OneWay, reduce_only=st.booleans()) | st.builds(
    Hedged, position_side=st.sampled_from(HedgeSide)
)
algos = st.builds(
    PerpAlgoOrder,
    client_id=ids,
    symbol=st.just(BTC),
    side=sides,
    scope=scopes,
    working_type=st.sampled_from(WorkingType),
    body=bodies.filter(lambda body: hasattr(body, "trigger")),
)
steps = st.sampled_from(["0.1", "0.01", "0.001", "0.05", "1", "0.00001"]).map(Decimal)
optional = st.none() | st.decimals("0.001", "500", places=3)
specs = st.builds(
    lambda base, tick, step, low, high, most, least: replace(
        base,
        tick_size=tick,
        min_price=low,
        step_size=step,
        market_step_size=step,
        max_qty=high,
        market_max_qty=most,
        market_min_notional=least,
        min_notional=least,
    ),
    st.sampled_from([SPOT, PERP]),
    steps,
    steps,
    optional,
    optional,
    optional,
    optional,
)
prices = st.none() | st.builds(
    lambda bid, spread, reference: CurrentPrices(
        bid=bid, ask=bid + spread, reference=bid if reference else None
    ),
    st.decimals("1", "100000", places=2),
    st.decimals("0", "5", places=2),
    st.booleans(),
)


def corrected(request: OrderRequest, violations: tuple[RuleViolation, ...]) -> OrderRequest:
    for violation in violations:
        path = violation.field.split(".")
        right: Any = violation.right
        if violation.code is RuleCode.TIME_IN_FORCE:
            right = TimeInForce(right)
        elif violation.code is not RuleCode.CLIENT_ID:
            right = Decimal(right)
        if path[-1] not in asdict(request) and len(path) == 1:
            path = ["body", *path]
        if len(path) == 1:
            request = replace(request, **{path[0]: right})
        else:
            inner = replace(getattr(request, path[0]), **{path[1]: right})
            request = replace(request, **{path[0]: inner})
    return request


@given(st.one_of(spot_requests, ocos, algos), specs, prices)
def test_the_value_that_is_said_to_be_right_passes(
    request_: OrderRequest, spec: InstrumentSpec, current: CurrentPrices | None
) -> None:
    violations = check_order(request_, spec, current)
    assume(all(each.right and each.code is not RuleCode.ORDER_TYPE for each in violations))
    assert check_order(corrected(request_, violations), spec, current) == ()


@given(st.one_of(spot_requests, ocos, algos), specs, prices)
def test_any_order_can_be_checked(
    request_: OrderRequest, spec: InstrumentSpec, current: CurrentPrices | None
) -> None:
    """Whatever it says: the same violations each time, one for each rule of each field."""
    violations = check_order(request_, spec, current)
    assert violations == check_order(request_, spec, current)
    assert all(each.rule and each.field for each in violations)
