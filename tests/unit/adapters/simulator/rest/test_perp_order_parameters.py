"""Futures orders as they are sent: what is wrong whatever the state of the account."""

from decimal import Decimal

import pytest

from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.rest.perp_order_parameters import new_algo_order, new_perp_order
from chimera_s1.adapters.simulator.rest.replies import BinanceError

MARKET = Market(build_symbols(("BTCUSDT",)), 1, 1_700_000_000_000)
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "quantity": "0.010",
    "price": "67000.0",
}
STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.01",
    "triggerPrice": "65000",
}


def without(parameters: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}


def test_an_order_has_what_was_sent() -> None:
    order = new_perp_order(
        {**LIMIT, "newClientOrderId": "s1-a", "reduceOnly": "true", "positionSide": "BOTH"}, MARKET
    )

    assert (order.symbol, order.side, order.type) == ("BTCUSDT", "BUY", "LIMIT")
    assert (order.qty, order.price, order.time_in_force) == (Decimal("0.01"), Decimal(67000), "GTX")
    assert (order.client_id, order.reduce_only, order.position_side) == ("s1-a", True, "BOTH")


def test_a_trigger_off_the_tick_is_accepted() -> None:
    """Testnet accepted 74960.75 at a tick of 0.10."""
    order = new_algo_order({**STOP, "triggerPrice": "64960.75"}, MARKET)

    assert (order.trigger, order.qty, order.price) == (Decimal("64960.75"), Decimal("0.01"), None)


@pytest.mark.parametrize(
    ("parameters", "code", "said"),
    [
        (without(LIMIT, "symbol"), -1102, "'symbol'"),
        ({**LIMIT, "symbol": "NONE"}, -1121, "Invalid symbol."),
        (without(LIMIT, "side"), -1102, "'side'"),
        (without(LIMIT, "type"), -1102, "'type'"),
        ({**LIMIT, "price": "1e5"}, -1102, "'price'"),
        ({**LIMIT, "quantity": "-1"}, -1102, "'quantity'"),
        ({**LIMIT, "goodTillDate": "soon"}, -1100, "'goodTillDate'"),
        ({**LIMIT, "reduceOnly": "maybe"}, -1130, "'reduceOnly'"),
        ({**LIMIT, "priceMatch": "QUEUE"}, -1130, "'priceMatch'"),
    ],
)
def test_a_malformed_order_is_refused(parameters: dict[str, str], code: int, said: str) -> None:
    with pytest.raises(BinanceError) as refused:
        new_perp_order(parameters, MARKET)

    assert (refused.value.status, refused.value.code) == (400, code)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("parameters", "code", "said"),
    [
        (without(STOP, "algoType"), -1102, "'algoType'"),
        ({**STOP, "algoType": "VP"}, -1130, "'algoType'"),
        ({**STOP, "triggerPrice": "a"}, -1102, "'triggerprice'"),
        ({**STOP, "closePosition": "yes"}, -1130, "'closePosition'"),
    ],
)
def test_a_malformed_algo_order_is_refused(
    parameters: dict[str, str], code: int, said: str
) -> None:
    with pytest.raises(BinanceError) as refused:
        new_algo_order(parameters, MARKET)

    assert (refused.value.status, refused.value.code) == (400, code)
    assert said in refused.value.message
