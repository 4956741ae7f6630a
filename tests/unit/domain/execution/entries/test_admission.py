"""Which entries are refused, by which rule, and the number that would be right."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs

from chimera_s1.domain.execution.entries.admission import (
    AdmissionFacts,
    EntryLimits,
    EntryRefusedError,
    EntryRule,
    TopOfBook,
    admit,
    notional_usdt,
    require_room,
)
from chimera_s1.domain.execution.entries.specs import (
    BaseQty,
    EntrySpec,
    FuturesEntrySpec,
    QuoteAmount,
    SpotEntrySpec,
)
from chimera_s1.domain.execution.order_request import (
    HedgeSide,
    Limit,
    Market,
    MarketForQuote,
    PerpOrder,
    Side,
    SpotOrder,
    TimeInForce,
)
from chimera_s1.domain.execution.order_violations import OrderRulesError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.operations.active_configuration import RiskLimits

BTC = Symbol("BTCUSDT")
FUTURES = FuturesEntrySpec(
    symbol=BTC,
    side=Side.BUY,
    qty=Decimal("0.010"),
    limit_price=Decimal("59990.0"),
    stop_price=Decimal("59000.0"),
    timeout_ms=60_000,
)
SPOT = SpotEntrySpec(
    symbol=BTC,
    side=Side.BUY,
    amount=BaseQty(qty=Decimal("0.010")),
    tp_price=Decimal("61000.0"),
    sl_trigger_price=Decimal("59000.0"),
)


def instrument(venue: Venue, status: str = "TRADING") -> InstrumentSpec:
    return InstrumentSpec(
        instrument=InstrumentId(venue, BTC),
        status=status,
        base_asset="BTC",
        quote_asset="USDT",
        tick_size=Decimal("0.1"),
        min_price=Decimal("0.1"),
        max_price=Decimal(1_000_000),
        step_size=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(100),
        market_step_size=Decimal("0.001"),
        market_min_qty=Decimal("0.001"),
        market_max_qty=Decimal(5),
        min_notional=Decimal(100),
        market_min_notional=Decimal(100),
        order_types=("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_MARKET", "STOP_LOSS"),
        times_in_force=("GTC", "IOC", "FOK", "GTX"),
        oco_allowed=True,
    )


def facts(venue: Venue = Venue.PERP) -> AdmissionFacts:
    return AdmissionFacts(
        instrument=instrument(venue),
        limits=EntryLimits(max_usdt=Decimal(1_000), daily_cap=Decimal(5_000), quote_age_ms=1_000),
        used_today=Decimal(0),
        book=TopOfBook(
            bid=Decimal("59999.9"),
            ask=Decimal("60000.0"),
            spread_bps=0.02,
            depth_usdt=50_000.0,
            age_ms=10,
        ),
        risk=RiskLimits(rev=7, spread_bp_limit=5.0, depth_top1_usdt_min=1_000.0),
        hedge_mode=False,
        position_qty=Decimal(0),
        open_entries=(),
        conditional_orders=3,
        agreement_refusal="",
    )


def test_a_futures_entry_is_a_post_only_limit_order() -> None:
    request = admit(FUTURES, "e1", facts())

    assert isinstance(request, PerpOrder)
    assert request.body == Limit(
        qty=FUTURES.qty, price=FUTURES.limit_price, time_in_force=TimeInForce.GTX
    )


@pytest.mark.parametrize(
    ("amount", "body"),
    [
        (BaseQty(qty=Decimal("0.01")), Market(qty=Decimal("0.01"))),
        (QuoteAmount(usdt=Decimal(600)), MarketForQuote(quote_qty=Decimal(600))),
    ],
)
def test_a_spot_entry_is_a_market_order(
    amount: BaseQty | QuoteAmount, body: Market | MarketForQuote
) -> None:
    request = admit(structs.replace(SPOT, amount=amount), "e1", facts(Venue.SPOT))

    assert isinstance(request, SpotOrder)
    assert request.body == body


Changed = Callable[[AdmissionFacts], AdmissionFacts]


def with_facts(**changes: object) -> Changed:
    return lambda usual: structs.replace(usual, **changes)


def with_book(**changes: object) -> Changed:
    def changed(usual: AdmissionFacts) -> AdmissionFacts:
        assert usual.book is not None
        return structs.replace(usual, book=structs.replace(usual.book, **changes))

    return changed


def with_limits(**changes: object) -> Changed:
    return lambda usual: structs.replace(usual, limits=structs.replace(usual.limits, **changes))


REFUSED: list[tuple[EntrySpec, Changed, EntryRule, str]] = [
    (FUTURES, with_facts(instrument=None), EntryRule.SYMBOL_UNKNOWN, "perp/BTCUSDT"),
    (
        FUTURES,
        with_facts(instrument=instrument(Venue.PERP, "SETTLING")),
        EntryRule.SYMBOL_NOT_TRADING,
        "is SETTLING, not TRADING",
    ),
    (
        FUTURES,
        with_limits(symbols=frozenset({Symbol("ETHUSDT")})),
        EntryRule.SYMBOL_NOT_ALLOWED,
        "allowed are ETHUSDT",
    ),
    (FUTURES, with_facts(book=None), EntryRule.QUOTE_AGE, "no quote"),
    (FUTURES, with_book(age_ms=1_001), EntryRule.QUOTE_AGE, "1001 ms old; at most 1000 ms"),
    (
        structs.replace(FUTURES, timeout_ms=999),
        with_facts(),
        EntryRule.TIMEOUT_RANGE,
        "timeout_ms 999 is not from 1000 to 600000",
    ),
    (
        structs.replace(FUTURES, timeout_ms=600_001),
        with_facts(),
        EntryRule.TIMEOUT_RANGE,
        "from 1000 to 600000",
    ),
    (
        structs.replace(FUTURES, stop_price=Decimal("59990.0")),
        with_facts(),
        EntryRule.STOP_SIDE,
        "must be below limit_price 59990",
    ),
    (
        structs.replace(FUTURES, side=Side.SELL, limit_price=Decimal("60010.0")),
        with_facts(),
        EntryRule.STOP_SIDE,
        "must be above limit_price 60010",
    ),
    (
        structs.replace(SPOT, sl_trigger_price=Decimal("61000.0")),
        with_facts(),
        EntryRule.STOP_SIDE,
        "must be below tp_price 61000",
    ),
    (
        structs.replace(SPOT, amount=QuoteAmount(usdt=Decimal("119.5"))),
        with_facts(),
        EntryRule.EXIT_NOTIONAL,
        "0.001 at 59000; BTCUSDT accepts 100 at least",
    ),
    (
        FUTURES,
        with_limits(max_usdt=Decimal(599)),
        EntryRule.MAX_USDT,
        "at most 599 are allowed",
    ),
    (
        FUTURES,
        with_facts(used_today=Decimal("4400.2")),
        EntryRule.DAILY_CAP,
        "worth 599.9 USDT; 599.8 of 5000 are left",
    ),
    (FUTURES, with_facts(used_today=Decimal(6_000)), EntryRule.DAILY_CAP, "0 of 5000 are left"),
    (FUTURES, with_book(spread_bps=5.01), EntryRule.SPREAD, "is 5.01 bp; at most 5 are allowed"),
    (FUTURES, with_book(depth_usdt=999.0), EntryRule.DEPTH, "holds 999.00 USDT; at least 1000"),
    (
        structs.replace(FUTURES, position_side=HedgeSide.LONG),
        with_facts(),
        EntryRule.POSITION_SIDE,
        "leave position_side out",
    ),
    (FUTURES, with_facts(hedge_mode=True), EntryRule.POSITION_SIDE, "needs position_side LONG"),
    (
        structs.replace(FUTURES, position_side=HedgeSide.SHORT),
        with_facts(hedge_mode=True),
        EntryRule.POSITION_SIDE,
        "needs position_side LONG",
    ),
    (
        FUTURES,
        with_facts(position_qty=Decimal("-0.002")),
        EntryRule.POSITION_CONFLICT,
        "holds -0.002 BTCUSDT",
    ),
    (
        FUTURES,
        with_facts(open_entries=(structs.replace(FUTURES, side=Side.SELL),)),
        EntryRule.POSITION_CONFLICT,
        "has the other side",
    ),
    (
        FUTURES,
        with_facts(conditional_orders=190),
        EntryRule.CONDITIONAL_ORDERS,
        "has 190 open conditional orders; new entries need fewer than 190",
    ),
    (
        FUTURES,
        with_facts(agreement_refusal="TSLAUSDT: sign it"),
        EntryRule.TRADFI_AGREEMENT,
        "TSLAUSDT: sign it",
    ),
]


@pytest.mark.parametrize(
    ("spec", "changed", "rule", "text"), REFUSED, ids=[f"{r[2].value} {r[3]}" for r in REFUSED]
)
def test_an_entry_is_refused(spec: EntrySpec, changed: Changed, rule: EntryRule, text: str) -> None:
    usual = facts(spec.instrument.venue)
    with pytest.raises(EntryRefusedError, match=text.replace(".", r"\.")) as refused:
        admit(spec, "e1", changed(usual))

    assert refused.value.rule is rule


def test_every_rule_is_tried() -> None:
    assert {rule for _, _, rule, _ in REFUSED} == set(EntryRule)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (structs.replace(FUTURES, limit_price=Decimal("59990.05")), "price 59990.05"),
        (structs.replace(FUTURES, qty=Decimal("0.0105")), "qty 0.0105"),
        (structs.replace(FUTURES, qty=Decimal("0.001")), "59.99|100"),
        (structs.replace(FUTURES, stop_price=Decimal("59000.05")), "trigger 59000.05"),
        (structs.replace(SPOT, tp_price=Decimal("59999.0")), "price_side"),
        (structs.replace(SPOT, tp_price=Decimal("61000.05")), "61000.05"),
    ],
)
def test_the_orders_of_an_entry_keep_the_rules_of_the_exchange(spec: EntrySpec, field: str) -> None:
    with pytest.raises(OrderRulesError, match=field):
        admit(spec, "e1", facts(spec.instrument.venue))


def test_a_symbol_without_oco_can_be_entered() -> None:
    """The price is watched instead."""
    usual = facts(Venue.SPOT)
    assert usual.instrument is not None
    without = structs.replace(usual.instrument, oco_allowed=False)
    admit(SPOT, "e1", structs.replace(usual, instrument=without))


def test_a_position_in_the_same_direction_and_hedge_mode_are_no_conflict() -> None:
    same = structs.replace(facts(), position_qty=Decimal("0.5"), open_entries=(FUTURES,))
    admit(FUTURES, "e1", same)
    hedged = structs.replace(facts(), hedge_mode=True, position_qty=Decimal("-0.5"))
    admit(structs.replace(FUTURES, position_side=HedgeSide.LONG), "e1", hedged)


def test_the_cap_is_judged_again_at_the_commit() -> None:
    usual = facts()
    worth = notional_usdt(FUTURES, usual)
    require_room(FUTURES, worth, structs.replace(usual, used_today=Decimal("4400.1")))
    with pytest.raises(EntryRefusedError):
        require_room(FUTURES, worth, structs.replace(usual, used_today=Decimal("4400.11")))


def test_more_than_one_market_order_fills_is_no_obstacle() -> None:
    """Several stops protect it."""
    roomy = with_limits(max_usdt=Decimal(10**9), daily_cap=Decimal(10**9))(facts())
    admit(structs.replace(FUTURES, qty=Decimal(12)), "e1", roomy)
