"""Rounding, and which prices and quantities are legal."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.market_close import ORDERS_MAX, split_market_close
from chimera_s1.domain.instruments.order_grid import Grid, Rounding
from chimera_s1.domain.instruments.order_rules import Execution, order_rules
from tests.sample_instruments import BTC_PERP, BTC_SPOT

VALUES = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9, places=10
).filter(bool)
STEPS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(1, 99), st.integers(0, 10)
)
GRIDS = st.builds(
    lambda step, start, steps, origin: Grid(
        name="price",
        step=step,
        origin=start if origin else Decimal(0),
        minimum=start,
        maximum=start + step * steps,
    ),
    STEPS,
    VALUES,
    st.integers(0, 1000),
    st.booleans(),
)


def on_grid(grid: Grid, value: Decimal) -> bool:
    """Independent of the code: exact fractions."""
    assert grid.step is not None
    return (Fraction(value) - Fraction(grid.origin)) % Fraction(grid.step) == 0


@given(GRIDS, VALUES, st.sampled_from(Rounding))
def test_rounding_gives_the_legal_value_next_to_it(
    grid: Grid, value: Decimal, rounding: Rounding
) -> None:
    """On the grid, less than a step away, on the right side; or it is refused."""
    assert grid.step is not None
    assert grid.minimum is not None
    assert grid.maximum is not None
    try:
        rounded = grid.round(value, rounding)
    except InvalidValueError:
        snapped = grid.snap(value, rounding)
        assert not grid.minimum <= snapped <= grid.maximum or snapped <= 0
        return
    off = rounded - value

    assert on_grid(grid, rounded)
    assert grid.minimum <= rounded <= grid.maximum
    assert grid.defect(rounded) == ""
    assert grid.round(rounded, rounding) == rounded
    match rounding:
        case Rounding.DOWN:
            assert -grid.step < off <= 0
        case Rounding.UP:
            assert 0 <= off < grid.step
        case Rounding.NEAREST:
            assert -grid.step / 2 <= off < grid.step / 2


@given(GRIDS, VALUES)
def test_a_value_is_legal_exactly_on_the_grid_and_within_bounds(grid: Grid, value: Decimal) -> None:
    """What is not legal is said with its rule."""
    assert grid.minimum is not None
    assert grid.maximum is not None
    legal = on_grid(grid, value) and grid.minimum <= value <= grid.maximum

    assert (grid.defect(value) == "") == legal


@pytest.mark.parametrize(
    ("value", "rounding", "rounded"),
    [
        ("67000.05", Rounding.DOWN, "67000.0"),
        ("67000.05", Rounding.UP, "67000.1"),
        ("67000.05", Rounding.NEAREST, "67000.0"),
        ("67000.06", Rounding.NEAREST, "67000.1"),
        ("67000.10", Rounding.UP, "67000.1"),
    ],
)
def test_prices_are_rounded_by_the_tick(value: str, rounding: Rounding, rounded: str) -> None:
    """Halfway is rounded down by `nearest`."""
    rules = order_rules(BTC_PERP)

    assert rules.round_price(Decimal(value), rounding) == Decimal(rounded)


def test_futures_prices_are_counted_from_the_minimum() -> None:
    """(price - minPrice) % tickSize on futures, price % tickSize on spot."""
    odd = {"tick_size": Decimal("0.5"), "min_price": Decimal("0.7")}
    perp = order_rules(structs.replace(BTC_PERP, **odd))
    spot = order_rules(structs.replace(BTC_SPOT, **odd))

    assert perp.round_price(Decimal("10.1"), Rounding.DOWN) == Decimal("9.7")
    assert spot.round_price(Decimal("10.1"), Rounding.DOWN) == Decimal("10.0")
    with pytest.raises(InvalidValueError, match=r"perp/BTCUSDT: price 10 is not a multiple of 0.5"):
        perp.price(Decimal(10))
    with pytest.raises(
        InvalidValueError, match=r"spot/BTCUSDT: price 9.7 is not a multiple of 0.5"
    ):
        spot.price(Decimal("9.7"))


def test_without_a_rule_every_value_above_0_is_legal() -> None:
    """Binance says 0 for a rule that is off."""
    free = order_rules(structs.replace(BTC_SPOT, tick_size=None, min_price=None, max_price=None))

    assert free.price(Decimal("1.23456789")) == Decimal("1.23456789")
    assert free.round_price(Decimal("1.23456789"), Rounding.UP) == Decimal("1.23456789")
    with pytest.raises(InvalidValueError, match="not above 0"):
        free.price(Decimal(0))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (Decimal("0.0004"), "quantity 0 is not above 0"),
        (Decimal("-0.5"), "quantity -0.5 is not above 0"),
        (Decimal("1000.001"), "quantity 1000.001 is above the maximum 1000"),
        (Decimal("NaN"), "quantity NaN is not a number"),
        (Decimal("Infinity"), "quantity Infinity is not a number"),
        (Decimal("1e999999"), "is not a number of at most 40 digits"),
        (Decimal("0." + "3" * 60), "is not a number of at most 40 digits"),
    ],
)
def test_a_quantity_that_cannot_be_legal_is_refused(value: Decimal, rule: str) -> None:
    """Never cut to a bound, and never by arithmetic that is not exact."""
    with pytest.raises(InvalidValueError, match=rule):
        order_rules(BTC_PERP).round_quantity(value, Execution.LIMIT, Rounding.DOWN)


def test_a_float_is_refused() -> None:
    """0.1 is not a tenth."""
    with pytest.raises(InvalidValueError, match="is not a Decimal; a float is not exact"):
        order_rules(BTC_PERP).round_price(0.1, Rounding.DOWN)  # type: ignore[arg-type]


def test_market_orders_have_bounds_of_their_own() -> None:
    """120 BTC where a limit order may have 1000."""
    rules = order_rules(BTC_PERP)

    assert rules.quantity(Decimal(121), Execution.LIMIT) == 121
    with pytest.raises(InvalidValueError, match="market quantity 121 is above the maximum 120"):
        rules.quantity(Decimal(121), Execution.MARKET)


@pytest.mark.parametrize(
    ("spec", "quantity", "execution", "reduce_only", "refusal"),
    [
        (BTC_PERP, "0.001", Execution.LIMIT, False, "notional 67 is below the minimum 100"),
        (BTC_PERP, "0.001", Execution.MARKET, False, "notional 67 is below the minimum 100"),
        (BTC_PERP, "0.001", Execution.LIMIT, True, ""),
        (BTC_PERP, "0.002", Execution.LIMIT, False, ""),
        (BTC_SPOT, "0.00007", Execution.LIMIT, False, "notional 4.69 is below the minimum 5"),
        (BTC_SPOT, "0.00007", Execution.LIMIT, True, "notional 4.69 is below the minimum 5"),
        (BTC_SPOT, "135", Execution.LIMIT, False, "notional 9045000 is above the maximum 9000000"),
        (BTC_SPOT, "126", Execution.MARKET, False, ""),
    ],
)
def test_an_order_is_worth_enough_and_not_too_much(
    *, spec: InstrumentSpec, quantity: str, execution: Execution, reduce_only: bool, refusal: str
) -> None:
    """Reducing a futures position needs no minimum; spot has no such orders."""
    rules = order_rules(spec)
    legal = rules.quantity(Decimal(quantity), execution)

    if not refusal:
        rules.check_notional(Decimal(67_000), legal, execution, reduce_only=reduce_only)
        return
    with pytest.raises(InvalidValueError, match=refusal):
        rules.check_notional(Decimal(67_000), legal, execution, reduce_only=reduce_only)


@given(st.integers(5569, 10**7), st.sampled_from(Execution))
def test_the_smallest_quantity_is_worth_enough(tenths: int, execution: Execution) -> None:
    """And one step less is not legal, or is not."""
    rules = order_rules(BTC_PERP)
    price = rules.price(Decimal(tenths) / 10)
    smallest = rules.smallest_quantity(price, execution)
    less = smallest - Decimal("0.001")

    rules.check_notional(price, smallest, execution)
    with pytest.raises(InvalidValueError):
        rules.check_notional(price, rules.quantity(less, execution), execution)


def test_a_minimum_above_the_maximum_is_refused() -> None:
    """There is no order for such a price."""
    rules = order_rules(structs.replace(BTC_PERP, max_qty=Decimal("0.01")))

    with pytest.raises(InvalidValueError, match=r"is above the maximum 0\.01"):
        rules.smallest_quantity(rules.price(Decimal("556.8")), Execution.LIMIT)


QUANTITY_STEPS = st.sampled_from([Decimal("0.001"), Decimal("0.1"), Decimal(1), Decimal(10)])


@given(
    QUANTITY_STEPS,
    st.integers(1, 50),
    st.integers(0, 200),
    st.decimals(min_value=0, max_value=100_000, places=4),
)
def test_a_market_close_is_split_into_legal_orders(
    step: Decimal, smallest: int, wider: int, quantity: Decimal
) -> None:
    """Together at most the quantity; what they leave is no legal order."""
    spec = structs.replace(
        BTC_PERP,
        market_step_size=step,
        market_min_qty=step * smallest,
        market_max_qty=step * (smallest + wider),
    )
    rules = order_rules(spec)
    close = split_market_close(rules, quantity)

    assert sum(close.quantities) + close.rest == quantity
    for order in close.quantities:
        assert rules.quantity(order, Execution.MARKET) == order
    assert close.rest >= 0
    assert close.rest < step * smallest or len(close.quantities) == ORDERS_MAX


@given(
    QUANTITY_STEPS,
    st.integers(1, 50),
    st.integers(0, 200),
    st.integers(0, 20_000),
)
def test_a_close_leaves_nothing_that_orders_could_close(
    step: Decimal, smallest: int, wider: int, steps: int
) -> None:
    """A first order that would leave too little for a last one is smaller."""
    largest = smallest + wider
    spec = structs.replace(
        BTC_PERP,
        market_step_size=step,
        market_min_qty=step * smallest,
        market_max_qty=step * largest,
    )
    orders = -(-steps // largest)
    assume(orders <= ORDERS_MAX)
    possible = orders * smallest <= steps
    close = split_market_close(order_rules(spec), step * steps)

    assert (close.rest == 0) == possible
    if possible:
        assert len(close.quantities) == orders


@pytest.mark.parametrize(
    ("quantity", "orders", "rest"),
    [
        ("300", ["120", "120", "60"], "0"),
        ("120.0005", ["120"], "0.0005"),
        ("0.0009", [], "0.0009"),
        ("0", [], "0"),
    ],
)
def test_a_position_above_the_market_maximum_is_closed_in_parts(
    quantity: str, orders: list[str], rest: str
) -> None:
    """Dust below a step is left, and said."""
    close = split_market_close(order_rules(BTC_PERP), Decimal(quantity))

    assert close.quantities == tuple(map(Decimal, orders))
    assert close.rest == Decimal(rest)


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [
        (Decimal(-1), "perp/BTCUSDT: cannot close -1"),
        (Decimal("NaN"), "quantity NaN is not a number"),
        (0.5, "quantity 0.5 is not a Decimal"),
    ],
)
def test_only_the_size_of_a_position_can_be_closed(quantity: Decimal, reason: str) -> None:
    """The side of the position decides about the side of the orders."""
    with pytest.raises(InvalidValueError, match=reason):
        split_market_close(order_rules(BTC_PERP), quantity)
