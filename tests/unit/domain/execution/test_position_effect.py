"""Which orders ask the trading gate."""

from decimal import Decimal

import pytest

from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    Market,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    PerpAlgoOrder,
    PerpOrder,
    PositionScope,
    Side,
    SpotOco,
    SpotOrder,
    Stop,
    WorkingType,
)
from chimera_s1.domain.execution.position_effect import Purpose, opens_position
from chimera_s1.domain.identifiers import Symbol

BTC = Symbol("BTCUSDT")
LONG, SHORT = Hedged(position_side=HedgeSide.LONG), Hedged(position_side=HedgeSide.SHORT)
REDUCING, OPENING = OneWay(reduce_only=True), OneWay(reduce_only=False)


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize(
    ("scope", "side", "opens"),
    [
        (OPENING, Side.BUY, True),
        (REDUCING, Side.BUY, False),
        (LONG, Side.BUY, True),
        (LONG, Side.SELL, False),
        (SHORT, Side.SELL, True),
        (SHORT, Side.BUY, False),
    ],
)
def test_futures_order_itself_says_whether_it_opens(
    scope: PositionScope, side: Side, opens: bool, purpose: Purpose
) -> None:
    one = Decimal(1)
    order = PerpOrder(client_id="a", symbol=BTC, side=side, scope=scope, body=Market(qty=one))
    stop = PerpAlgoOrder(
        client_id="b",
        symbol=BTC,
        side=side,
        scope=scope,
        working_type=WorkingType.CONTRACT_PRICE,
        body=Stop(qty=one, trigger=one),
    )

    assert opens_position(order, purpose) is opens
    assert opens_position(stop, purpose) is opens


@pytest.mark.parametrize(("purpose", "opens"), [(Purpose.ENTRY, True), (Purpose.EXIT, False)])
@pytest.mark.parametrize("side", list(Side))
def test_spot_order_opens_where_it_is_an_entry(side: Side, purpose: Purpose, opens: bool) -> None:
    order = SpotOrder(client_id="a", symbol=BTC, side=side, body=Market(qty=Decimal(1)))

    assert opens_position(order, purpose) is opens


def test_spot_oco_opens_nothing() -> None:
    oco = SpotOco(
        client_id="a",
        symbol=BTC,
        side=Side.SELL,
        qty=Decimal(1),
        take_profit=OcoTakeProfit(client_id="b", price=Decimal(2)),
        stop=OcoStop(client_id="c", trigger=Decimal(1)),
    )

    assert not opens_position(oco, Purpose.ENTRY)
