"""Check an order against the rules of its instrument before it is signed.

The exchange still decides: a rule that depends on a price which is not known here is left to it,
and so is what lies between the best bid and the best ask.
"""

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.execution.order_kind_rules import Body, check_ids, check_kinds
from chimera_s1.domain.execution.order_request import (
    AlgoBody,
    Hedged,
    HedgeSide,
    Limit,
    LimitMaker,
    Market,
    MarketForQuote,
    OneWay,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
    Stop,
    StopLimit,
    TakeProfit,
    TakeProfitLimit,
    WorkingType,
)
from chimera_s1.domain.execution.order_violations import (
    NumberRule,
    OrderRulesError,
    RuleCode,
    RuleViolation,
    grid_rules,
    judge,
)
from chimera_s1.domain.execution.price_bands import price_band
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import EXACT, Grid, Rounding
from chimera_s1.domain.instruments.order_rules import ExecutionRules, OrderRules, order_rules
from chimera_s1.domain.money import exact_text

_QUOTIENT_DIGITS = 30


class CurrentPrices(Struct, frozen=True, kw_only=True):
    """Attributes:
    reference: What the venue measures a limit price by: the mark price on futures, the average
        price on spot; None where it is not known.
    """

    bid: Decimal
    ask: Decimal
    reference: Decimal | None = None


def require_order_rules(
    request: OrderRequest, spec: InstrumentSpec, prices: CurrentPrices | None
) -> None:
    """Raises:
    OrderRulesError: *request* breaks a rule.
    """
    if violations := check_order(request, spec, prices):
        raise OrderRulesError(str(spec.instrument), violations)


def check_order(
    request: OrderRequest, spec: InstrumentSpec, prices: CurrentPrices | None
) -> tuple[RuleViolation, ...]:
    """Every rule that *request* breaks; without *prices*, only those that need none. A request
    with all values replaced by those that would be right breaks none.
    """
    checks = _Checks(request, spec, prices)
    return (*check_ids(request), *check_kinds(request, spec), *checks.run())


class _Checks:
    """The numbers of one request. Prices are checked first: notionals use the right ones."""

    def __init__(
        self, request: OrderRequest, spec: InstrumentSpec, prices: CurrentPrices | None
    ) -> None:
        self._request = request
        self._side = request.side
        self._spec = spec
        self._rules: OrderRules = order_rules(spec)
        self._prices = prices
        self._found: list[RuleViolation] = []

    def run(self) -> list[RuleViolation]:
        request = self._request
        if isinstance(request, SpotOco):
            self._check_oco(request)
        else:
            self._check_body(request)
        return self._found

    def _check_body(self, request: SpotOrder | PerpOrder | PerpAlgoOrder) -> None:
        limit, market = self._rules.limit, self._rules.market
        body: Body = request.body
        match body:
            case Limit() | LimitMaker():
                self._qty(body.qty, (limit,), (self._limit("price", body.price),))
            case Market():
                # The venue measures it by a price near these; what the best of them allows may pass
                near = () if self._prices is None else (self._prices.ask,)
                self._qty(body.qty, (market,), near)
            case MarketForQuote():
                self._judge("quote_qty", body.quote_qty, _quote_rules(market))
            case Stop() | TakeProfit():
                self._qty(body.qty, (market,), (self._trigger("trigger", body),))
            case StopLimit() | TakeProfitLimit():
                self._trigger("trigger", body)
                self._qty(body.qty, (limit,), (self._limit("price", body.price),))
            case _:
                assert_never(body)

    def _check_oco(self, request: SpotOco) -> None:
        profit_is_above = self._side is Side.SELL
        profit = self._judge(
            "take_profit.price",
            request.take_profit.price,
            (*self._limit_rules(), *self._side_rules(above=profit_is_above)),
        )
        stop = self._judge(
            "stop.trigger",
            request.stop.trigger,
            (*self._tick_rules(), *self._side_rules(above=not profit_is_above)),
        )
        kinds = [self._rules.limit]
        if request.stop.limit is None:
            kinds.append(self._rules.market)
        else:
            stop = self._limit("stop.limit", request.stop.limit)
        self._qty(request.qty, kinds, (profit, stop))

    def _judge(self, field: str, value: Decimal, rules: tuple[NumberRule, ...]) -> Decimal:
        """The value, or the right one in its place."""
        violations, right = judge(field, value, rules)
        self._found += violations
        return right

    def _limit(self, field: str, value: Decimal) -> Decimal:
        return self._judge(field, value, self._limit_rules())

    def _trigger(self, field: str, body: AlgoBody) -> Decimal:
        # A stop buys above and sells below the price, a take profit the other way round.
        is_stop = isinstance(body, Stop | StopLimit)
        above = (self._side is Side.BUY) is is_stop
        rules = (*self._tick_rules(), *self._side_rules(above=above))
        return self._judge(field, body.trigger, rules)

    def _tick_rules(self) -> tuple[NumberRule, ...]:
        grid = self._rules.prices
        # A price is never made more aggressive than it was asked for.
        rounding = Rounding.DOWN if self._side is Side.BUY else Rounding.UP
        codes = RuleCode.TICK, RuleCode.PRICE_MIN, RuleCode.PRICE_MAX
        return tuple(grid_rules(grid, rounding, *codes))

    def _limit_rules(self) -> tuple[NumberRule, ...]:
        reference = None if self._prices is None else self._prices.reference
        band = price_band(self._spec, self._side, reference)
        rules, grid = list(self._tick_rules()), self._rules.prices
        if (low := band.low) is not None:
            rules.append(
                NumberRule(
                    RuleCode.PRICE_BAND,
                    lambda: f"must be at least {exact_text(low)} at the current price",
                    lambda price: price >= low,
                    lambda _: grid.snap(low, Rounding.UP),
                )
            )
        if (high := band.high) is not None:
            rules.append(
                NumberRule(
                    RuleCode.PRICE_BAND,
                    lambda: f"must be at most {exact_text(high)} at the current price",
                    lambda price: price <= high,
                    lambda _: grid.snap(high, Rounding.DOWN),
                )
            )
        return tuple(rules)

    def _side_rules(self, *, above: bool) -> tuple[NumberRule, ...]:
        """On which side of the current price a trigger must be."""
        span = self._trigger_span()
        if span is None:
            return ()
        (bid, ask), grid = span, self._rules.prices
        if above:
            return (
                NumberRule(
                    RuleCode.PRICE_SIDE,
                    lambda: f"must be above the current price {exact_text(bid)}",
                    lambda price: price > bid,
                    lambda _: _next(grid, ask, Rounding.UP),
                ),
            )
        return (
            NumberRule(
                RuleCode.PRICE_SIDE,
                lambda: f"must be below the current price {exact_text(ask)}",
                lambda price: price < ask,
                lambda _: _next(grid, bid, Rounding.DOWN),
            ),
        )

    def _trigger_span(self) -> tuple[Decimal, Decimal] | None:
        """The last price is between them, or it is the mark price."""
        if self._prices is None:
            return None
        request = self._request
        if isinstance(request, PerpAlgoOrder) and request.working_type is WorkingType.MARK_PRICE:
            mark = self._prices.reference
            return None if mark is None else (mark, mark)
        return self._prices.bid, self._prices.ask

    def _qty(
        self, qty: Decimal, kinds: Sequence[ExecutionRules], prices: tuple[Decimal, ...]
    ) -> None:
        rules: list[NumberRule] = []
        for kind in kinds:
            is_market = kind is self._rules.market
            most = RuleCode.MARKET_QTY_MAX if is_market else RuleCode.QTY_MAX
            codes = RuleCode.STEP, RuleCode.QTY_MIN, most
            rules += grid_rules(kind.quantities, Rounding.DOWN, *codes)
        for kind in kinds:
            for price in prices:
                if price.is_finite() and price > 0:
                    rules += self._notional_rules(kind, price)
        self._judge("qty", qty, tuple(rules))

    def _notional_rules(self, kind: ExecutionRules, price: Decimal) -> Iterator[NumberRule]:
        def text(word: str, limit: Decimal) -> str:
            return f"at {exact_text(price)} must be worth at {word} {exact_text(limit)}"

        least, most, grid = kind.min_notional, kind.max_notional, kind.quantities
        if least is not None and not _only_reduces(self._request):
            yield NumberRule(
                RuleCode.NOTIONAL_MIN,
                lambda: text("least", least),
                lambda qty: _product(qty, price) >= least,
                lambda _: grid.snap(_quotient(least, price, ROUND_CEILING), Rounding.UP),
            )
        if most is not None:
            yield NumberRule(
                RuleCode.NOTIONAL_MAX,
                lambda: text("most", most),
                lambda qty: _product(qty, price) <= most,
                lambda _: grid.snap(_quotient(most, price, ROUND_FLOOR), Rounding.DOWN),
            )


def _quote_rules(market: ExecutionRules) -> tuple[NumberRule, ...]:
    grid = Grid(
        name="quote_qty", step=None, minimum=market.min_notional, maximum=market.max_notional
    )
    codes = RuleCode.STEP, RuleCode.NOTIONAL_MIN, RuleCode.NOTIONAL_MAX
    return tuple(grid_rules(grid, Rounding.DOWN, *codes))


def _only_reduces(request: OrderRequest) -> bool:
    """Futures orders that only reduce a position need no minimum notional."""
    if isinstance(request, SpotOrder | SpotOco):
        return False
    match request.scope:
        case OneWay(reduce_only=reduce_only):
            return reduce_only
        case Hedged(position_side=side):
            return (side is HedgeSide.LONG) is (request.side is Side.SELL)
        case _:
            assert_never(request.scope)


def _next(grid: Grid, value: Decimal, direction: Rounding) -> Decimal:
    """The value on the grid beyond *value*, not *value* itself."""
    snapped = grid.snap(value, direction)
    if snapped != value or grid.step is None:
        return snapped
    return value + grid.step if direction is Rounding.UP else value - grid.step


def _product(qty: Decimal, price: Decimal) -> Decimal:
    return EXACT.multiply(qty, price)


def _quotient(notional: Decimal, price: Decimal, rounding: str) -> Decimal:
    with localcontext(prec=_QUOTIENT_DIGITS, rounding=rounding):
        return notional / price
