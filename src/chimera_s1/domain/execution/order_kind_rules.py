"""Ids, order types and times in force, against the rules of an instrument."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from chimera_s1.domain.execution.client_ids import CLIENT_ID_PATTERN
from chimera_s1.domain.execution.order_request import (
    AlgoBody,
    Limit,
    LimitMaker,
    Market,
    MarketForQuote,
    OrderRequest,
    SpotBody,
    SpotOco,
    SpotOrder,
    Stop,
    StopLimit,
    TakeProfit,
    TakeProfitLimit,
    TimeInForce,
)
from chimera_s1.domain.execution.order_violations import RuleCode, RuleViolation
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec

Body: TypeAlias = SpotBody | AlgoBody

_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)
_ID_LENGTH_MAX = 36
_OCO = "OCO"

_SPOT_TYPES: Mapping[type, str] = {
    Limit: "LIMIT",
    LimitMaker: "LIMIT_MAKER",
    Market: "MARKET",
    MarketForQuote: "MARKET",
    Stop: "STOP_LOSS",
    StopLimit: "STOP_LOSS_LIMIT",
    TakeProfit: "TAKE_PROFIT",
    TakeProfitLimit: "TAKE_PROFIT_LIMIT",
}
_PERP_TYPES: Mapping[type, str] = {
    Limit: "LIMIT",
    Market: "MARKET",
    Stop: "STOP_MARKET",
    StopLimit: "STOP",
    TakeProfit: "TAKE_PROFIT_MARKET",
    TakeProfitLimit: "TAKE_PROFIT",
}
_SPOT_TIMES = tuple(each.value for each in TimeInForce if each is not TimeInForce.GTX)


def check_ids(request: OrderRequest) -> Iterator[RuleViolation]:
    ids = {"client_id": request.client_id}
    if isinstance(request, SpotOco):
        ids["take_profit.client_id"] = request.take_profit.client_id
        ids["stop.client_id"] = request.stop.client_id
    used: set[str] = set()
    for field, client_id in ids.items():
        rule = right = ""
        if _CLIENT_ID.fullmatch(client_id) is None:
            rule = "must have 1 to 36 letters, digits, - or _"
            right = re.sub("[^A-Za-z0-9_-]", "-", client_id)[:_ID_LENGTH_MAX]
        elif client_id in used:
            rule = "must differ from the other ids of its list"
        used.add(client_id)
        if rule:
            yield RuleViolation(
                code=RuleCode.CLIENT_ID, field=field, rule=rule, value=client_id, right=right
            )


def check_kinds(request: OrderRequest, spec: InstrumentSpec) -> Iterator[RuleViolation]:
    """What the instrument does not list is accepted where it lists nothing."""
    for kind in _types(request):
        if spec.order_types and kind not in spec.order_types:
            yield _no_such_type(kind, spec)
    if isinstance(request, SpotOco):
        if not spec.oco_allowed:
            yield _no_such_type(_OCO, spec)
        return
    body: Body = request.body
    if isinstance(body, Limit | StopLimit | TakeProfitLimit):
        yield from _check_time_in_force(body.time_in_force, spec)


def _no_such_type(kind: str, spec: InstrumentSpec) -> RuleViolation:
    listed, limit = ", ".join(spec.order_types), f"{kind}_LIMIT"
    return RuleViolation(
        code=RuleCode.ORDER_TYPE,
        field="type",
        rule="is not allowed here" if kind == _OCO else f"must be one of {listed}",
        value=kind,
        right=limit if limit in spec.order_types else "",
    )


def _check_time_in_force(wanted: TimeInForce, spec: InstrumentSpec) -> Iterator[RuleViolation]:
    known = _SPOT_TIMES if spec.instrument.venue is Venue.SPOT else spec.times_in_force
    if known and wanted.value not in known:
        yield RuleViolation(
            code=RuleCode.TIME_IN_FORCE,
            field="time_in_force",
            rule=f"must be one of {', '.join(known)}",
            value=wanted.value,
            right=TimeInForce.GTC.value if TimeInForce.GTC.value in known else "",
        )


def _types(request: OrderRequest) -> tuple[str, ...]:
    """The order types of the exchange that *request* uses."""
    if isinstance(request, SpotOco):
        stop: type = Stop if request.stop.limit is None else StopLimit
        return _SPOT_TYPES[LimitMaker], _SPOT_TYPES[stop]
    types = _SPOT_TYPES if isinstance(request, SpotOrder) else _PERP_TYPES
    return (types[type(request.body)],)
