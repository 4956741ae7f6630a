"""The control plane's routes for funding: what is published and when, and the positions."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from aiohttp import web
from msgspec import UNSET, structs

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.control.funding_requests import (
    CHANGE_HELP,
    FUNDING_HELP,
    POSITION_HELP,
    ROW_HELP,
    SPECIAL_HELP,
    ChangeRequest,
    FundingRequest,
    PositionRequest,
    SpecialRequest,
    WithheldRequest,
)
from chimera_s1.adapters.simulator.control.listing_control import NotListedError
from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.funding.positions import Position, Positions
from chimera_s1.adapters.simulator.funding.rate_history import RateHistory, RowChange, RowKey
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.mark_prices import estimated_rate
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.domain.errors import InvalidValueError

LATEST_SHOWN = 20
ORDERS_MAX = 10_000
"""Of each kind: rows that are withheld, changed or Special, and positions."""

PENDING_SHOWN = 2_000


class FundingControl:
    def __init__(
        self, market: Market, rates: RateHistory, positions: Positions, clock: ScaledClock
    ) -> None:
        self._market = market
        self._rates = rates
        self._positions = positions
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/funding", self._show),
            web.post("/sim/funding", self._configure),
            web.post("/sim/funding/specials", self._add_special),
            web.post("/sim/funding/withheld", self._withhold),
            web.delete("/sim/funding/withheld", self._release),
            web.post("/sim/funding/changes", self._change),
            web.post("/sim/funding/positions", self._open_position),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        symbol = request.query.get("symbol")
        return json_reply(self._view(None if symbol is None else self._find(symbol)))

    async def _configure(self, request: web.Request) -> web.Response:
        change = decode(await request.read(), FundingRequest, FUNDING_HELP)
        if change.lag_ms is not UNSET:
            self._rates.lag_ms = change.lag_ms
        if change.coin_margined is not UNSET:
            self._rates.coin_margined = change.coin_margined
        return json_reply(self._view(None))

    async def _add_special(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), SpecialRequest, SPECIAL_HELP)
        time_ms = self._clock.now_ms() if body.time_ms is None else body.time_ms
        _check_room("Special rows", self._rates.specials())
        row = self._rates.add_special(self._find(body.symbol), time_ms, f"{body.rate:.8f}")
        return json_reply(structs.asdict(row), 201)

    async def _withhold(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), WithheldRequest, ROW_HELP)
        market = self._find(body.symbol)
        next_ms = market.funding.next_ms(self._clock.now_ms())
        key = self._settled(market, body.time_ms or next_ms, body.rate_type)
        _check_room("withheld rows", self._rates.withheld)
        self._rates.withheld.add(key)
        return json_reply(key._asdict(), 201)

    async def _release(self, request: web.Request) -> web.Response:
        """All, or those of `symbol`; they appear at once."""
        symbol = request.query.get("symbol")
        released = [key for key in self._rates.withheld if symbol in {None, key.symbol}]
        self._rates.withheld.difference_update(released)
        return json_reply({"released": len(released)})

    async def _change(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), ChangeRequest, CHANGE_HELP)
        key = self._settled(self._find(body.symbol), body.time_ms, body.rate_type)
        before = self._rates.changes.get(key, RowChange())
        change = RowChange(
            before.rate if body.rate is UNSET else f"{body.rate:.8f}",
            before.mark_price if body.mark_price is UNSET else body.mark_price,
            before.late_ms if body.late_ms is UNSET else body.late_ms,
        )
        _check_room("changed rows", self._rates.changes)
        self._rates.changes[key] = change
        return json_reply({**key._asdict(), **structs.asdict(change)}, 201)

    async def _open_position(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), PositionRequest, POSITION_HELP)
        market = self._find(body.symbol)
        since_ms = self._clock.now_ms() if body.since_ms is None else body.since_ms
        asset = market.spec.quote if body.asset is None else body.asset
        _check_room("positions", self._positions.ever_held())
        opened = self._positions.open(market, since_ms, body.amounts, asset)
        return json_reply(_position_view(opened), 201)

    def _find(self, symbol: str) -> SymbolMarket:
        market = self._market.find_funded(symbol.upper())
        if market is None:
            raise NotListedError(
                f"{symbol!r} is no USD-M contract here; write a symbol of "
                "GET /fapi/v1/exchangeInfo, like BTCUSDT"
            )
        return market

    def _settled(self, market: SymbolMarket, time_ms: int, rate_type: str) -> RowKey:
        """Raises InvalidValueError without such a settlement within the hour before *time_ms*."""
        key = RowKey(market.spec.symbol, time_ms // HOUR_MS * HOUR_MS, rate_type)
        types = {row.rate_type for row in self._rates.settled_at(key.due_ms, (market,))}
        if rate_type not in types:
            raise InvalidValueError(
                f"time_ms: {key.symbol} has no {rate_type} settlement at {key.due_ms}; see the "
                f"times of GET /sim/funding?symbol={key.symbol}"
            )
        return key

    def _view(self, market: SymbolMarket | None) -> dict[str, Any]:
        """Of all contracts, or in more detail of one."""
        rates, now_ms = self._rates, self._clock.now_ms()
        symbol = None if market is None else market.spec.symbol
        held = self._positions.held_at(now_ms + 1, symbol)
        pending = [structs.asdict(row) for row in rates.pending(market)]
        specials = (row for row in rates.specials() if symbol in {None, row.symbol})
        return {
            "now_ms": now_ms,
            "lag_ms": rates.lag_ms,
            "coin_margined": rates.coin_margined,
            **({} if market is None else self._contract_view(market, now_ms)),
            "pending": pending[:PENDING_SHOWN],
            "withheld": [key._asdict() for key in _of(symbol, rates.withheld)],
            "changed": [
                {**key._asdict(), **structs.asdict(rates.changes[key])}
                for key in _of(symbol, rates.changes)
            ],
            "special": [structs.asdict(row) for row in specials],
            "positions": [_position_view(each) for each in held],
        }

    def _contract_view(self, market: SymbolMarket, now_ms: int) -> dict[str, Any]:
        next_ms = market.funding.next_ms(now_ms)
        spans = market.funding.spans
        return {
            "symbol": market.spec.symbol,
            "intervals": [{"since_ms": since_ms, "hours": hours} for since_ms, hours in spans],
            "next_ms": next_ms or None,
            "estimate": estimated_rate(market, next_ms, now_ms) or None,
            "latest": [
                structs.asdict(row) for row in self._rates.last_rows(now_ms, LATEST_SHOWN, market)
            ],
        }


def _check_room(what: str, kept: Iterable[object]) -> None:
    """Raises InvalidValueError where ORDERS_MAX are kept."""
    if sum(1 for _ in kept) >= ORDERS_MAX:
        raise InvalidValueError(
            f"{ORDERS_MAX} {what} are kept, the most; restart the simulator to be rid of them"
        )


def _of(symbol: str | None, keys: Iterable[RowKey]) -> list[RowKey]:
    return sorted(key for key in keys if symbol in {None, key.symbol})


def _position_view(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.market.spec.symbol,
        "since_ms": position.since_ms,
        "amounts": {side.value: _text(amount) for side, amount in position.amounts.items()},
        "asset": position.asset,
    }


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
