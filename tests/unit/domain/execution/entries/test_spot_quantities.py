"""Quantities of the orders that end a spot entry, against the rules of the symbol."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.specs import SpotEntrySpec
from chimera_s1.domain.execution.entries.spot_quantities import (
    LegalQuantities,
    exit_quantities,
    list_quantities,
)
from chimera_s1.domain.execution.entries.spot_requests import market_exit, oco_request, stop_limit
from chimera_s1.domain.execution.order_rules_check import check_order
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from tests.unit.domain.execution.entries.spot_desk import ENTRY_ID, buy, exit_id, oco_id, sell
from tests.unit.domain.execution.entries.spot_exchange import INSTRUMENT

QUANTITIES = st.decimals(min_value=0, max_value=500, places=5)
INSTRUMENTS = st.builds(
    lambda step, market_step, least, types: replace(
        INSTRUMENT,
        step_size=step,
        market_step_size=market_step,
        min_qty=step,
        market_min_qty=market_step * 2,
        market_min_notional=least,
        max_notional=Decimal(9_000),
        order_types=types,
    ),
    st.sampled_from([Decimal("0.001"), Decimal("0.01")]),
    st.sampled_from([Decimal("0.001"), Decimal("0.1")]),
    st.sampled_from([None, Decimal(10)]),
    st.sampled_from([INSTRUMENT.order_types, ("LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT")]),
)
SPECS = st.sampled_from([buy(), sell()])


@settings(max_examples=60)
@given(spec=SPECS, qty=QUANTITIES, instrument=INSTRUMENTS)
def test_a_list_of_a_legal_quantity_breaks_no_rule(
    spec: SpotEntrySpec, qty: Decimal, instrument: InstrumentSpec
) -> None:
    limit = stop_limit(spec, instrument)
    legal = list_quantities(spec, limit, instrument).of_one_order(qty)

    assert 0 <= legal <= qty
    if legal:
        request = oco_request(spec, oco_id(), ENTRY_ID, legal, limit)
        assert not check_order(request, instrument, None)


@settings(max_examples=60)
@given(spec=SPECS, qty=QUANTITIES, instrument=INSTRUMENTS)
def test_an_exit_of_a_legal_quantity_breaks_no_rule(
    spec: SpotEntrySpec, qty: Decimal, instrument: InstrumentSpec
) -> None:
    legal = exit_quantities(Decimal(90), instrument).of_one_order(qty)

    assert 0 <= legal <= qty
    if legal:
        assert not check_order(market_exit(spec, exit_id(), legal), instrument, None)


@given(qty=QUANTITIES)
def test_every_quantity_is_legal_where_the_rules_are_not_known(qty: Decimal) -> None:
    assert LegalQuantities().of_one_order(qty) == qty


@settings(max_examples=60)
@given(qty=QUANTITIES, instrument=INSTRUMENTS)
def test_what_can_be_ordered_at_once_is_part_of_what_can_be_ordered(
    qty: Decimal, instrument: InstrumentSpec
) -> None:
    quantities = list_quantities(buy(), stop_limit(buy(), instrument), instrument)

    assert bool(quantities.of_one_order(qty)) == bool(quantities.floor(qty))
    assert quantities.of_one_order(qty) <= quantities.floor(qty) <= qty
