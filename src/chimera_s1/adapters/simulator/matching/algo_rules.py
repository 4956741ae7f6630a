"""What Binance refuses of a conditional order, and when one triggers."""

from decimal import Decimal

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.liquidity import BUY
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder
from chimera_s1.adapters.simulator.matching.perp_rules import (
    CONDITIONAL_TYPES,
    check_client_id,
    check_price,
    check_quantity,
    check_side,
    check_time_in_force,
    missing,
    not_required,
)
from chimera_s1.adapters.simulator.matching.records import AlgoOrder
from chimera_s1.adapters.simulator.rest.replies import BinanceError

OPEN_ALGOS_MAX = 200
WORKING_TYPES = frozenset({"CONTRACT_PRICE", "MARK_PRICE"})
CLOSE_TIME_IN_FORCE = "GTE_GTC"
"""Binance's word for closePosition: good till the position ends."""


def check_algo_parameters(new: NewAlgoOrder) -> None:
    """What each type must and must not have; only types without a price may close a position."""
    if new.type not in CONDITIONAL_TYPES:
        raise BinanceError(-1116, "Invalid orderType.")
    check_side(new.side)
    check_client_id(new.client_id)
    check_time_in_force(new.time_in_force or "GTC")
    if new.working_type not in WORKING_TYPES:
        raise BinanceError(-1130, "Data sent for parameter 'workingType' is not valid.")
    if new.trigger is None:
        raise missing("triggerprice")
    if at_market(new.type) and new.price is not None:
        raise not_required("price")
    if not at_market(new.type) and new.price is None:
        raise missing("price")
    if new.close_position:
        _check_close_parameters(new)
    elif new.qty is None:
        raise missing("quantity")


def _check_close_parameters(new: NewAlgoOrder) -> None:
    if not at_market(new.type):
        raise BinanceError(-4136, "Target strategy invalid for orderType with closePosition true")
    if new.qty is not None:
        raise BinanceError(-4137, "Quantity must be zero with closePosition equals true")
    if new.reduce_only is not None:
        raise not_required("reduceonly")


def check_algo_filters(spec: SymbolSpec, new: NewAlgoOrder) -> None:
    """The trigger may be off the tick: Binance's testnet accepts that."""
    if new.trigger is not None and new.trigger <= 0:
        raise BinanceError(-4006, "Stop price less than zero.")
    if new.price is not None:
        check_price(spec, new.price)
    if new.qty is not None:
        check_quantity(spec, new.qty, at_market=at_market(new.type))


def check_close_position(new: NewAlgoOrder, opened: list[AlgoOrder], *, flat: bool) -> None:
    """One for each direction and class; *opened* are the open ones of the same position."""
    if flat:
        raise BinanceError(-4509, "TIF GTE can only be used with open positions.")
    same = [
        each
        for each in opened
        if each.close_position and each.side == new.side and is_stop(each.type) == is_stop(new.type)
    ]
    if same:
        raise BinanceError(
            -4130,
            "An open stop or take profit order with GTE and closePosition in the direction is "
            "existing.",
        )


def at_market(algo_type: str) -> bool:
    """Whether the child is a market order."""
    return algo_type.endswith("_MARKET")


def is_stop(algo_type: str) -> bool:
    return algo_type.startswith("STOP")


def triggers(algo_type: str, side: str, trigger: Decimal, price: Decimal) -> bool:
    """Whether it triggers at *price*: a stop when it gets worse, a take profit when better."""
    above = is_stop(algo_type) == (side == BUY)
    return price >= trigger if above else price <= trigger
