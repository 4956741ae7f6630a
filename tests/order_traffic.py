"""Orders of every kind for a running simulator: requests of ours, and bodies of foreign orders."""

import random
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from itertools import count
from typing import Any, TypeAlias

from msgspec import Struct

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
    PositionScope,
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
from chimera_s1.domain.identifiers import Symbol
from tests.simulator_client import SimulatorClient

Body: TypeAlias = dict[str, Any]

NOTIONAL = (110, 400)
"""USDT of one order."""


class Instrument(Struct, frozen=True):
    venue: str
    symbol: str
    tick: Decimal
    step: Decimal

    def price(self, value: Decimal) -> Decimal:
        return (value / self.tick).quantize(Decimal(1), ROUND_HALF_EVEN) * self.tick

    def qty(self, value: Decimal) -> Decimal:
        return (value / self.step).quantize(Decimal(1), ROUND_UP) * self.step


class Quote(Struct, frozen=True):
    bid: Decimal
    ask: Decimal


_PATHS = {"spot": "/api/v3", "perp": "/fapi/v1"}


async def read_instruments(sim: SimulatorClient, symbols: tuple[str, ...]) -> list[Instrument]:
    found = []
    for venue, path in _PATHS.items():
        _, listing, _ = await sim.rest(venue, f"{path}/exchangeInfo")
        for row in listing["symbols"]:
            if row["symbol"] in symbols:
                filters = {each["filterType"]: each for each in row["filters"]}
                tick = Decimal(filters["PRICE_FILTER"]["tickSize"])
                step = Decimal(filters["LOT_SIZE"]["stepSize"])
                found.append(Instrument(venue, row["symbol"], tick, step))
    return found


async def read_quote(sim: SimulatorClient, instrument: Instrument) -> Quote:
    path = f"{_PATHS[instrument.venue]}/ticker/bookTicker?symbol={instrument.symbol}"
    status, row, _ = await sim.rest(instrument.venue, path)
    assert status == 200, (path, status, row)
    return Quote(Decimal(row["bidPrice"]), Decimal(row["askPrice"]))


class OrderMaker:
    """Makes orders around the current price; each kind in turn, so that none is left out.

    With *hedged*, futures orders are for the long or the short position of a symbol.
    """

    def __init__(self, chance: random.Random, *, hedged: bool = False) -> None:
        self._chance = chance
        self._hedged = hedged
        self._numbers = count(1)
        self._ours = _cycle(
            [*[("spot", kind) for kind in SPOT_KINDS], *[("perp", kind) for kind in PERP_KINDS]]
        )
        self._foreign = _cycle(
            [*[("spot", kind) for kind in FOREIGN_SPOT], *[("perp", kind) for kind in FOREIGN_PERP]]
        )

    def next_venue_of_ours(self) -> tuple[str, str]:
        return next(self._ours)

    def next_venue_of_others(self) -> tuple[str, str]:
        return next(self._foreign)

    def ours(self, kind: str, instrument: Instrument, quote: Quote) -> OrderRequest:
        client_id = f"s1-b{next(self._numbers)}"
        side = self._chance.choice(list(Side))
        make = {**SPOT_KINDS, **PERP_KINDS}[f"{kind}"]
        return make(self._draft(client_id, instrument, side, quote))

    def foreign(self, kind: str, instrument: Instrument, quote: Quote, client_id: str) -> Body:
        side = self._chance.choice(list(Side))
        draft = self._draft(client_id, instrument, side, quote)
        body = {**FOREIGN_SPOT, **FOREIGN_PERP}[kind](draft)
        head = {"venue": instrument.venue, "symbol": instrument.symbol, "side": side.value}
        if client_id:
            head["client_id"] = client_id
        if draft.position_side is not None and instrument.venue == "perp":
            head["position_side"] = draft.position_side.value
        return {**head, **body}

    def _draft(self, client_id: str, instrument: Instrument, side: Side, quote: Quote) -> "_Draft":
        position_side = self._chance.choice(list(HedgeSide)) if self._hedged else None
        return _Draft(client_id, instrument, side, quote, self._chance, position_side)


class _Draft(Struct, frozen=True):
    client_id: str
    instrument: Instrument
    side: Side
    quote: Quote
    chance: random.Random
    position_side: HedgeSide | None

    @property
    def scope(self) -> PositionScope:
        if self.position_side is None:
            return OneWay(reduce_only=False)
        return Hedged(position_side=self.position_side)

    @property
    def symbol(self) -> Symbol:
        return Symbol(self.instrument.symbol)

    @property
    def qty(self) -> Decimal:
        return self.instrument.qty(Decimal(self.chance.randint(*NOTIONAL)) / self.quote.ask)

    def away(self, bps: int, *, better: bool = False) -> Decimal:
        """A price *bps* from the market: on this side of it, where the order rests, unless
        *better*, where it takes.
        """
        lower = (self.side is Side.BUY) != better
        start = self.quote.bid if lower else self.quote.ask
        factor = Decimal(-bps if lower else bps) / 10_000
        return self.instrument.price(start * (1 + factor))

    @property
    def near(self) -> int:
        """So near that the price gets there soon."""
        return self.chance.randint(1, 60)


def _spot(draft: _Draft, body: Any) -> SpotOrder:
    return SpotOrder(client_id=draft.client_id, symbol=draft.symbol, side=draft.side, body=body)


def _perp(draft: _Draft, body: Any) -> PerpOrder:
    return PerpOrder(
        client_id=draft.client_id,
        symbol=draft.symbol,
        side=draft.side,
        scope=draft.scope,
        body=body,
    )


def _algo(draft: _Draft, body: Any) -> PerpAlgoOrder:
    return PerpAlgoOrder(
        client_id=draft.client_id,
        symbol=draft.symbol,
        side=draft.side,
        scope=draft.scope,
        working_type=WorkingType.CONTRACT_PRICE,
        body=body,
    )


def _limit(draft: _Draft, price: Decimal, time_in_force: TimeInForce) -> Limit:
    return Limit(qty=draft.qty, price=price, time_in_force=time_in_force)


def _oco(draft: _Draft) -> SpotOco:
    near = draft.near
    take_profit, trigger = draft.away(near + 5), draft.away(near + 5, better=True)
    if draft.side is Side.BUY:
        take_profit, trigger = draft.away(near + 5), draft.away(near + 5, better=True)
    return SpotOco(
        client_id=draft.client_id,
        symbol=draft.symbol,
        side=draft.side,
        qty=draft.qty,
        take_profit=OcoTakeProfit(client_id=f"{draft.client_id}-tp", price=take_profit),
        stop=OcoStop(client_id=f"{draft.client_id}-sl", trigger=trigger),
    )


def _stop(draft: _Draft) -> Stop:
    return Stop(qty=draft.qty, trigger=draft.away(draft.near + 2, better=True))


def _stop_limit(draft: _Draft) -> StopLimit:
    near = draft.near
    return StopLimit(
        qty=draft.qty,
        trigger=draft.away(near + 2, better=True),
        price=draft.away(near + 40, better=True),
        time_in_force=TimeInForce.GTC,
    )


def _take_profit(draft: _Draft) -> TakeProfit:
    return TakeProfit(qty=draft.qty, trigger=draft.away(draft.near + 2))


def _take_profit_limit(draft: _Draft) -> TakeProfitLimit:
    near = draft.near
    return TakeProfitLimit(
        qty=draft.qty,
        trigger=draft.away(near + 2),
        price=draft.away(near + 1),
        time_in_force=TimeInForce.GTC,
    )


SPOT_KINDS: dict[str, Callable[[_Draft], OrderRequest]] = {
    "LIMIT": lambda d: _spot(d, _limit(d, d.away(d.near), TimeInForce.GTC)),
    "LIMIT crossing": lambda d: _spot(d, _limit(d, d.away(5, better=True), TimeInForce.GTC)),
    "LIMIT IOC": lambda d: _spot(d, _limit(d, d.away(0, better=True), TimeInForce.IOC)),
    "LIMIT FOK": lambda d: _spot(d, _limit(d, d.away(3, better=True), TimeInForce.FOK)),
    "LIMIT_MAKER": lambda d: _spot(d, LimitMaker(qty=d.qty, price=d.away(d.near))),
    "LIMIT_MAKER crossing": lambda d: _spot(d, LimitMaker(qty=d.qty, price=d.away(9, better=True))),
    "MARKET": lambda d: _spot(d, Market(qty=d.qty)),
    "MARKET by quote": lambda d: _spot(d, MarketForQuote(quote_qty=Decimal(50))),
    "STOP_LOSS": lambda d: _spot(d, _stop(d)),
    "STOP_LOSS_LIMIT": lambda d: _spot(d, _stop_limit(d)),
    "TAKE_PROFIT": lambda d: _spot(d, _take_profit(d)),
    "TAKE_PROFIT_LIMIT": lambda d: _spot(d, _take_profit_limit(d)),
    "OCO": _oco,
}
PERP_KINDS: dict[str, Callable[[_Draft], OrderRequest]] = {
    "perp LIMIT": lambda d: _perp(d, _limit(d, d.away(d.near), TimeInForce.GTC)),
    "perp GTX": lambda d: _perp(d, _limit(d, d.away(d.near), TimeInForce.GTX)),
    "perp GTX crossing": lambda d: _perp(d, _limit(d, d.away(9, better=True), TimeInForce.GTX)),
    "perp IOC": lambda d: _perp(d, _limit(d, d.away(2, better=True), TimeInForce.IOC)),
    "perp FOK": lambda d: _perp(d, _limit(d, d.away(3, better=True), TimeInForce.FOK)),
    "perp MARKET": lambda d: _perp(d, Market(qty=d.qty)),
    "algo STOP_MARKET": lambda d: _algo(d, _stop(d)),
    "algo STOP": lambda d: _algo(d, _stop_limit(d)),
    "algo TAKE_PROFIT_MARKET": lambda d: _algo(d, _take_profit(d)),
    "algo TAKE_PROFIT": lambda d: _algo(d, _take_profit_limit(d)),
}


def _text(number: Decimal) -> str:
    return f"{number:f}"


def _foreign_limit(draft: _Draft, price: Decimal, time_in_force: str = "GTC") -> Body:
    return {
        "type": "LIMIT",
        "qty": _text(draft.qty),
        "price": _text(price),
        "time_in_force": time_in_force,
    }


def _foreign_stop(name: str) -> Callable[[_Draft], Body]:
    return lambda d: {
        "type": name,
        "qty": _text(d.qty),
        "stop_price": _text(d.away(d.near + 2, better=True)),
    }


def _foreign_oco(draft: _Draft) -> Body:
    near = draft.near + 5
    resting = {"type": "LIMIT_MAKER", "price": _text(draft.away(near))}
    stop = {"type": "STOP_LOSS", "stop_price": _text(draft.away(near, better=True))}
    above, below = (resting, stop) if draft.side is Side.SELL else (stop, resting)
    return {"qty": _text(draft.qty), "above": above, "below": below}


FOREIGN_SPOT: dict[str, Callable[[_Draft], Body]] = {
    "LIMIT": lambda d: _foreign_limit(d, d.away(d.near)),
    "LIMIT IOC": lambda d: _foreign_limit(d, d.away(2, better=True), "IOC"),
    "MARKET": lambda d: {"type": "MARKET", "qty": _text(d.qty)},
    "STOP_LOSS": _foreign_stop("STOP_LOSS"),
    "OCO": _foreign_oco,
}
FOREIGN_PERP: dict[str, Callable[[_Draft], Body]] = {
    "perp LIMIT": lambda d: _foreign_limit(d, d.away(d.near)),
    "perp GTX": lambda d: _foreign_limit(d, d.away(d.near), "GTX"),
    "perp IOC": lambda d: _foreign_limit(d, d.away(2, better=True), "IOC"),
    "perp MARKET": lambda d: {"type": "MARKET", "qty": _text(d.qty)},
    "algo STOP_MARKET": _foreign_stop("STOP_MARKET"),
}


def _cycle(kinds: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    while True:
        yield from kinds
