"""What happens in the model of orders, step by step, and the orders that are placed."""

import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Any, TypeAlias

from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import (
    Limit,
    LimitMaker,
    Market,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    OrderRequest,
    PerpAlgoOrder,
    PerpBody,
    PerpOrder,
    Side,
    SpotBody,
    SpotOco,
    SpotOrder,
    Stop,
    TakeProfitLimit,
    TimeInForce,
    WorkingType,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.load.model_desks import SYMBOL, DeskExchange, Fault

BTC = Symbol(SYMBOL)
QTY = Decimal("0.01")
TICKS = {Venue.SPOT: Decimal("0.01"), Venue.PERP: Decimal("0.1")}
UNKNOWN_PREFIX = "s1-lost-"
"""Of orders that look like ours, and are not in the ledger."""

USED_AGAIN = "used again"
"""In place of a prefix: the id of an order of ours that has ended."""

_REPLICAS, _VENUES, _SIDES = (0, 1), tuple(Venue), tuple(Side)
_KINDS = {
    Venue.SPOT: ("limit", "market", "ioc", "maker", "oco"),
    Venue.PERP: ("limit", "market", "gtx", "stop", "stop reduce", "take profit"),
}
_FAULTS = (*Fault, *(Fault.NONE for _ in Fault))
_FOREIGN_IDS = ("web_", "s4-", "", UNKNOWN_PREFIX, USED_AGAIN)
_SWITCHES = ("gtx_expires", "algo_event_first", "child_takes_client_id", "pays_in_bnb")

Choose: TypeAlias = Callable[[Sequence[Any]], Any]
Step: TypeAlias = tuple[str, tuple[Any, ...]]

_VALUES: Mapping[str, tuple[Sequence[Any], ...]] = {
    "cancel": (_REPLICAS, range(6), _FAULTS),
    "foreign": (_VENUES, ("LIMIT", "MARKET"), _SIDES, _FOREIGN_IDS),
    "foreign cancel": (_VENUES, range(6)),
    "move": (_VENUES, (97, 99, 100, 101, 103)),
    "stream": (_REPLICAS, _VENUES, ("lose", "repeat", "delay", "deaf", "cut", "mend")),
    "lag": ((0, 1_500, QUERY_LAG_MS - 500),),
    "behave": (_SWITCHES, (False, True)),
    "crash": (_REPLICAS, (0, 1, 2, 3, 5, 8, 13)),
    "wait": ((1, 30, 400, 2_500, 9_000),),
    "append uncertain": (_REPLICAS,),
    "store down": (_REPLICAS,),
    "reads fail": (),
    "redis down": (),
    "heal": (),
}
"""What a step of each kind chooses."""

_OFTEN = {"place": 8, "cancel": 3, "foreign": 2, "move": 4, "stream": 4, "wait": 6}
_STEPS = [name for name in ("place", *_VALUES) for _ in range(_OFTEN.get(name, 1))]


def scenario(choose: Choose, length: int) -> list[Step]:
    """*length* steps; *choose* takes one of several."""
    return [_step(choose) for _ in range(length)]


def seeded(seed: int, length: int) -> list[Step]:
    return scenario(random.Random(seed).choice, length)


def _step(choose: Choose) -> Step:
    name = choose(_STEPS)
    if name == "place":
        venue = choose(_VENUES)
        placed = (choose(_REPLICAS), venue, choose(_KINDS[venue]), choose(_SIDES), choose(_FAULTS))
        return name, placed
    return name, tuple(map(choose, _VALUES[name]))


class NewRequests:
    """Orders around the market, each with client ids of its own."""

    def __init__(self, exchange: DeskExchange) -> None:
        self._exchange = exchange
        self._numbers = count(1)

    def price(self, venue: Venue, percent: int) -> Decimal:
        """A part of the best bid, in whole ticks."""
        return self._exchange.symbol(venue).book.bid * percent // 100 * TICKS[venue]

    def new(self, venue: Venue, kind: str, side: Side) -> OrderRequest:
        name = f"s1-{next(self._numbers)}"
        below, above = self.price(venue, 98), self.price(venue, 102)
        resting, taking = (below, above) if side is Side.BUY else (above, below)
        if venue is Venue.SPOT:
            return _spot(name, kind, side, resting, taking)
        return _perp(name, kind, side, resting, taking)


def _spot(name: str, kind: str, side: Side, resting: Decimal, taking: Decimal) -> OrderRequest:
    if kind == "oco":
        return SpotOco(
            client_id=f"{name}-o",
            symbol=BTC,
            side=side,
            qty=QTY,
            take_profit=OcoTakeProfit(client_id=f"{name}-tp", price=resting),
            stop=OcoStop(client_id=f"{name}-sl", trigger=taking),
        )
    bodies: Mapping[str, SpotBody] = {
        "limit": Limit(qty=QTY, price=resting, time_in_force=TimeInForce.GTC),
        "market": Market(qty=QTY),
        "ioc": Limit(qty=QTY, price=taking, time_in_force=TimeInForce.IOC),
        "maker": LimitMaker(qty=QTY, price=taking),
    }
    return SpotOrder(client_id=f"{name}-e", symbol=BTC, side=side, body=bodies[kind])


def _perp(name: str, kind: str, side: Side, resting: Decimal, taking: Decimal) -> OrderRequest:
    bodies: Mapping[str, PerpBody] = {
        "limit": Limit(qty=QTY, price=resting, time_in_force=TimeInForce.GTC),
        "market": Market(qty=QTY),
        "gtx": Limit(qty=QTY, price=taking, time_in_force=TimeInForce.GTX),
    }
    scope = OneWay(reduce_only=kind == "stop reduce")
    if kind in bodies:
        body = bodies[kind]
        return PerpOrder(client_id=f"{name}-e", symbol=BTC, side=side, scope=scope, body=body)
    gtc = TimeInForce.GTC
    return PerpAlgoOrder(
        client_id=f"{name}-sl",
        symbol=BTC,
        side=side,
        scope=scope,
        working_type=WorkingType.CONTRACT_PRICE,
        body=TakeProfitLimit(qty=QTY, trigger=resting, price=resting, time_in_force=gtc)
        if kind == "take profit"
        else Stop(qty=QTY, trigger=taking),
    )
