"""How an order breaks a rule of its instrument. `docs/order-rules.md` documents the codes."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.order_grid import Grid, Rounding, check_exact
from chimera_s1.domain.money import exact_text


class RuleCode(StrEnum):
    """Codes never change."""

    NUMBER = "number"
    TICK = "tick"
    PRICE_MIN = "price_min"
    PRICE_MAX = "price_max"
    PRICE_BAND = "price_band"
    STEP = "step"
    QTY_MIN = "qty_min"
    QTY_MAX = "qty_max"
    MARKET_QTY_MAX = "market_qty_max"
    NOTIONAL_MIN = "notional_min"
    NOTIONAL_MAX = "notional_max"
    PRICE_SIDE = "price_side"
    ORDER_TYPE = "order_type"
    TIME_IN_FORCE = "time_in_force"
    CLIENT_ID = "client_id"


class RuleViolation(Struct, frozen=True, kw_only=True):
    """Attributes:
    field: Of the request, such as `price` or `stop.trigger`.
    rule: As a sentence without its subject: `must be a multiple of 0.1`.
    value: As sent.
    right: What passes in its place; empty where there is nothing, or only the caller knows.
    """

    code: RuleCode
    field: str
    rule: str
    value: str
    right: str

    def __str__(self) -> str:
        advice = f"; {self.right} would be right" if self.right else ""
        return f"{self.field} {self.value} {self.rule} ({self.code}){advice}"


class OrderRulesError(InvalidValueError):
    """The order breaks rules of its instrument; nothing was sent."""

    code = "execution.order_rules"

    def __init__(self, instrument: str, violations: tuple[RuleViolation, ...]) -> None:
        super().__init__(f"{instrument}: {'; '.join(map(str, violations))}")
        self.violations = violations


class NumberRule(Struct, frozen=True):
    """Attributes:
    text: Made only where the rule is broken.
    holds: Of an exact number.
    mend: The number next to one that breaks the rule and does not break it; another rule may.
    """

    code: RuleCode
    text: Callable[[], str]
    holds: Callable[[Decimal], bool]
    mend: Callable[[Decimal], Decimal]


def judge(
    field: str, value: Decimal, rules: Iterable[NumberRule]
) -> tuple[list[RuleViolation], Decimal]:
    """The rules that *value* breaks, and the value that is right, or *value* without one."""
    try:
        check_exact(field, value)
    except InvalidValueError:
        text = "must be a decimal number of ordinary size"
        sent = str(value)[:40]
        return [
            RuleViolation(code=RuleCode.NUMBER, field=field, rule=text, value=sent, right="")
        ], value
    rules = tuple(rules)
    broken = [rule for rule in rules if not rule.holds(value)]
    if not broken:
        return [], value
    mended = _mended(value, rules)
    right = "" if mended is None else exact_text(mended)
    violations = [
        RuleViolation(
            code=rule.code, field=field, rule=rule.text(), value=exact_text(value), right=right
        )
        for rule in broken
    ]
    return violations, value if mended is None else mended


def _mended(value: Decimal, rules: tuple[NumberRule, ...]) -> Decimal | None:
    """None where no value next to it passes, or only one that is too long to be exact."""
    mended = value
    try:
        for rule in rules:
            if not rule.holds(mended):
                mended = rule.mend(mended)
        check_exact("mended", mended)
        return mended if all(rule.holds(mended) for rule in rules) else None
    except InvalidValueError:
        return None


def grid_rules(
    grid: Grid, rounding: Rounding, step: RuleCode, minimum: RuleCode, maximum: RuleCode
) -> Iterable[NumberRule]:
    """The step first: what is mended for a bound is on the grid."""
    if (width := grid.step) is not None:

        def step_text() -> str:
            start = f" from {exact_text(grid.origin)}" if grid.origin else ""
            return f"must be a multiple of {exact_text(width)}{start}"

        yield NumberRule(step, step_text, grid.contains, lambda value: grid.snap(value, rounding))
    least = grid.minimum or grid.step
    if least is None:
        yield NumberRule(
            minimum, lambda: "must be above 0", lambda value: value > 0, lambda value: value
        )
    else:
        yield NumberRule(
            minimum,
            lambda: f"must be at least {exact_text(least)}",
            lambda value: value >= least,
            lambda _: grid.snap(least, Rounding.UP),
        )
    if (most := grid.maximum) is not None:
        yield NumberRule(
            maximum,
            lambda: f"must be at most {exact_text(most)}",
            lambda value: value <= most,
            lambda _: grid.snap(most, Rounding.DOWN),
        )
