"""What is known of an instrument is checked; what is not is left to the exchange."""

from decimal import Decimal

import pytest

from chimera_s1.app.capabilities.execution.check_order_rules import (
    CheckOrderRules,
    InstrumentUnknownError,
)
from chimera_s1.domain.execution.order_request import (
    OneWay,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    Stop,
    WorkingType,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.order_violations import OrderRulesError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from tests.unit.domain.execution.test_order_rules_check import PERP, PRICES, limit, perp

WOULD_TRIGGER = PerpAlgoOrder(
    client_id="s1-a-1",
    symbol=Symbol("BTCUSDT"),
    side=Side.SELL,
    scope=OneWay(reduce_only=False),
    working_type=WorkingType.CONTRACT_PRICE,
    body=Stop(qty=Decimal("0.01"), trigger=Decimal(70_000)),
)
OFF_TICK: PerpOrder = perp(limit("67000.05"))


def checks(prices: CurrentPrices | None) -> CheckOrderRules:
    known = {InstrumentId(Venue.PERP, Symbol("BTCUSDT")): PERP}
    return CheckOrderRules(known.get, lambda _: prices)


def test_an_order_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(OrderRulesError, match=r"price 67000.05 must be a multiple of 0.1"):
        checks(None)(OFF_TICK, opens=False)
    with pytest.raises(OrderRulesError, match="price_side"):
        checks(PRICES)(WOULD_TRIGGER, opens=True)


def test_our_price_does_not_stop_what_protects() -> None:
    """It may be old; the exchange's decides."""
    checks(PRICES)(WOULD_TRIGGER, opens=False)
    checks(None)(WOULD_TRIGGER, opens=True)


def test_nothing_is_opened_in_an_instrument_that_is_not_known() -> None:
    """A stop or a close is left to the exchange."""
    unknown = CheckOrderRules(lambda _: None, lambda _: PRICES)
    unknown(OFF_TICK, opens=False)
    with pytest.raises(InstrumentUnknownError, match="perp/BTCUSDT is not listed"):
        unknown(OFF_TICK, opens=True)
