"""Parses the parameters of futures orders; the desk refuses what is wrong in a well-formed one."""

import re
from collections.abc import Mapping
from decimal import Decimal

from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder, NewPerpOrder
from chimera_s1.adapters.simulator.rest.parameters import (
    TIME_MAX_MS,
    find_symbol,
    integer,
    invalid_parameter,
    required,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue

Parameters = Mapping[str, str]

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_FLAGS = {"true": True, "false": False}
_STP_MODE = "EXPIRE_MAKER"


def new_perp_order(parameters: Parameters, market: Market) -> NewPerpOrder:
    """The order of `POST /fapi/v1/order`.

    Raises:
        BinanceError: A parameter is malformed, or one that every order has is missing.
    """
    _refuse_price_match(parameters)
    return NewPerpOrder(
        symbol=required_spec(parameters, market).symbol,
        side=required(parameters, "side", r".*"),
        type=required(parameters, "type", r".*"),
        client_id=parameters.get("newClientOrderId", ""),
        qty=_number(parameters, "quantity"),
        price=_number(parameters, "price"),
        time_in_force=parameters.get("timeInForce"),
        position_side=parameters.get("positionSide"),
        reduce_only=_flag(parameters, "reduceOnly"),
        stp_mode=parameters.get("selfTradePreventionMode", _STP_MODE),
        good_till_ms=integer(parameters, "goodTillDate", 0, highest=TIME_MAX_MS) or None,
    )


def new_algo_order(parameters: Parameters, market: Market) -> NewAlgoOrder:
    """The order of `POST /fapi/v1/algoOrder`.

    Raises:
        BinanceError: A parameter is malformed, or one that every algo order has is missing.
    """
    if required(parameters, "algoType", r".*") != "CONDITIONAL":
        raise invalid_parameter("algoType")
    _refuse_price_match(parameters)
    return NewAlgoOrder(
        symbol=required_spec(parameters, market).symbol,
        side=required(parameters, "side", r".*"),
        type=required(parameters, "type", r".*"),
        client_id=parameters.get("clientAlgoId", ""),
        qty=_number(parameters, "quantity"),
        trigger=_number(parameters, "triggerPrice"),
        price=_number(parameters, "price"),
        time_in_force=parameters.get("timeInForce"),
        position_side=parameters.get("positionSide"),
        reduce_only=_flag(parameters, "reduceOnly"),
        close_position=bool(_flag(parameters, "closePosition")),
        working_type=parameters.get("workingType", "CONTRACT_PRICE"),
        price_protect=bool(_flag(parameters, "priceProtect")),
        stp_mode=parameters.get("selfTradePreventionMode", _STP_MODE),
    )


def required_spec(parameters: Parameters, market: Market) -> SymbolSpec:
    """Raises BinanceError -1102 without a symbol, -1121 if it is not listed."""
    return find_symbol(required(parameters, "symbol", r".*"), market, Venue.PERP).spec


def _refuse_price_match(parameters: Parameters) -> None:
    """The simulator has no `priceMatch`."""
    if parameters.get("priceMatch", "NONE") != "NONE":
        raise invalid_parameter("priceMatch")


def _number(parameters: Parameters, name: str) -> Decimal | None:
    text = parameters.get(name)
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise BinanceError(
            -1102,
            f"Mandatory parameter '{name.lower()}' was not sent, was empty/null, or malformed.",
        )
    return Decimal(text)


def _flag(parameters: Parameters, name: str) -> bool | None:
    text = parameters.get(name)
    if text is None:
        return None
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise invalid_parameter(name)
    return flag
