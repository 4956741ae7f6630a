"""Whether an entry may be opened now, and which numbers would be right.

Only new entries are judged here: nothing in this module ever stands in the way of protection.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.entries.opening_order import (
    entry_order,
    least_exit_qty,
    planned_exits,
    worth_usdt,
)
from chimera_s1.domain.execution.entries.specs import (
    EntrySpec,
    FuturesEntrySpec,
    SpotEntrySpec,
)
from chimera_s1.domain.execution.order_request import (
    HedgeSide,
    OrderRequest,
    Side,
    SpotOco,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices, check_order
from chimera_s1.domain.execution.order_violations import OrderRulesError, RuleCode
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.operations.active_configuration import RiskLimits

CONDITIONAL_ORDERS_MAX: Final = 190
"""Of the 200 that the exchange allows an account: the rest is kept for stops of open entries.
Source: Binance, USD-M "New Algo Order" (-4045).
"""

TIMEOUT_MS: Final = range(1_000, 600_001)
_TRADING: Final = "TRADING"
_ZERO: Final = Decimal(0)


class EntryRule(StrEnum):
    """The value is the problem's code and never changes."""

    SYMBOL_UNKNOWN = "entry.symbol_unknown"
    SYMBOL_NOT_TRADING = "entry.symbol_not_trading"
    SYMBOL_NOT_ALLOWED = "entry.symbol_not_allowed"
    TIMEOUT_RANGE = "entry.timeout_range"
    STOP_SIDE = "entry.stop_side"
    EXIT_NOTIONAL = "entry.exit_notional"
    MAX_USDT = "entry.max_usdt"
    DAILY_CAP = "entry.daily_cap"
    QUOTE_AGE = "entry.quote_age"
    SPREAD = "entry.spread"
    DEPTH = "entry.depth"
    POSITION_SIDE = "entry.position_side"
    POSITION_CONFLICT = "position_conflict"
    CONDITIONAL_ORDERS = "entry.conditional_orders"
    TRADFI_AGREEMENT = "entry.tradfi_agreement"


class EntryRefusedError(ChimeraError):
    """A rule refuses the entry; nothing was sent and nothing is stored."""

    code = "entry.refused"

    def __init__(self, rule: EntryRule, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class TopOfBook(Struct, frozen=True, kw_only=True):
    """The newest quote; *age_ms* since it was received."""

    bid: Decimal
    ask: Decimal
    spread_bps: float
    depth_usdt: float
    age_ms: int


class EntryLimits(Struct, frozen=True, kw_only=True):
    """Attributes:
    symbols: Those that may be entered; None: all.
    quote_age_ms: An older quote is no basis for an entry.
    """

    max_usdt: Decimal
    daily_cap: Decimal
    quote_age_ms: int
    symbols: frozenset[Symbol] | None = None


class AdmissionFacts(Struct, frozen=True, kw_only=True):
    """What an entry is judged by.

    Attributes:
        used_today: Notional of the entries that were accepted on this UTC day, USDT.
        book: None without a quote since the start.
        hedge_mode: Of the account.
        position_qty: Of the symbol and position side; negative if short.
        open_entries: Specs of the open entries of the symbol.
        conditional_orders: Open algo orders of the account, ours and foreign.
        agreement_refusal: The exchange's words where the TradFi agreement is missing; else empty.
    """

    instrument: InstrumentSpec | None
    limits: EntryLimits
    used_today: Decimal
    book: TopOfBook | None
    risk: RiskLimits | None
    hedge_mode: bool
    position_qty: Decimal
    open_entries: tuple[EntrySpec, ...]
    conditional_orders: int
    agreement_refusal: str


def admit(spec: EntrySpec, entry_id: str, facts: AdmissionFacts) -> OrderRequest:
    """The entry order.

    Raises:
        EntryRefusedError, OrderRulesError: A rule refuses the entry, the first that is broken.
    """
    instrument = _tradable(spec, facts)
    request = entry_order(spec, entry_id)
    book = _fresh_book(spec, facts)
    prices = CurrentPrices(bid=book.bid, ask=book.ask)
    _require_terms(spec)
    _require_orders((request,), instrument, prices)
    _require_exit_notional(spec, instrument, prices)
    _require_orders(planned_exits(spec, instrument, prices), instrument, prices)
    worth = worth_usdt(spec, prices)
    _require_size(worth, facts.limits)
    _require_book(spec, facts, book)
    if isinstance(spec, FuturesEntrySpec):
        _require_account(spec, facts)
    require_room(spec, worth, facts)
    return request


def notional_usdt(spec: EntrySpec, facts: AdmissionFacts) -> Decimal:
    """What the entry is worth, at its limit price or at the price that it would pay.

    Raises:
        EntryRefusedError: There is no quote that is fresh.
    """
    book = _fresh_book(spec, facts)
    return worth_usdt(spec, CurrentPrices(bid=book.bid, ask=book.ask))


def _tradable(spec: EntrySpec, facts: AdmissionFacts) -> InstrumentSpec:
    allowed, instrument = facts.limits.symbols, facts.instrument
    if allowed is not None and spec.symbol not in allowed:
        raise EntryRefusedError(
            EntryRule.SYMBOL_NOT_ALLOWED,
            f"{spec.symbol} is not in S1_ENTRY_SYMBOLS; allowed are "
            f"{', '.join(sorted(allowed)) or 'none'}",
        )
    if instrument is None:
        raise EntryRefusedError(
            EntryRule.SYMBOL_UNKNOWN,
            f"{spec.instrument} is not in the listing of the exchange; see GET /xchg/instruments",
        )
    if instrument.status != _TRADING:
        raise EntryRefusedError(
            EntryRule.SYMBOL_NOT_TRADING,
            f"{spec.instrument} is {instrument.status}, not {_TRADING}",
        )
    return instrument


def _fresh_book(spec: EntrySpec, facts: AdmissionFacts) -> TopOfBook:
    book, age_max_ms = facts.book, facts.limits.quote_age_ms
    if book is None:
        raise EntryRefusedError(EntryRule.QUOTE_AGE, f"there is no quote of {spec.instrument} yet")
    if book.age_ms > age_max_ms:
        raise EntryRefusedError(
            EntryRule.QUOTE_AGE,
            f"the quote of {spec.instrument} is {book.age_ms} ms old; "
            f"at most {age_max_ms} ms are allowed (S1_ENTRY_QUOTE_AGE_MS)",
        )
    return book


def _require_terms(spec: EntrySpec) -> None:
    match spec:
        case FuturesEntrySpec():
            if spec.timeout_ms not in TIMEOUT_MS:
                raise EntryRefusedError(
                    EntryRule.TIMEOUT_RANGE,
                    f"timeout_ms {spec.timeout_ms} is not from {TIMEOUT_MS.start} to "
                    f"{TIMEOUT_MS.stop - 1}",
                )
            _require_side("stop_price", spec.stop_price, "limit_price", spec.limit_price, spec.side)
        case SpotEntrySpec():
            _require_side(
                "sl_trigger_price", spec.sl_trigger_price, "tp_price", spec.tp_price, spec.side
            )
        case _:
            assert_never(spec)


def _require_side(stop_name: str, stop: Decimal, name: str, price: Decimal, side: Side) -> None:
    """The stop of a BUY lies below, that of a SELL above."""
    right = stop < price if side is Side.BUY else stop > price
    if not right:
        where = "below" if side is Side.BUY else "above"
        raise EntryRefusedError(
            EntryRule.STOP_SIDE,
            f"{stop_name} {exact_text(stop)} must be {where} {name} {exact_text(price)} "
            f"for a {side.value}",
        )


def _require_orders(
    requests: Iterable[OrderRequest], instrument: InstrumentSpec, prices: CurrentPrices
) -> None:
    found = tuple(
        violation
        for request in requests
        for violation in check_order(request, instrument, prices)
        # A symbol without OCO is no obstacle: the price is watched instead.
        if violation.code is not RuleCode.ORDER_TYPE or not isinstance(request, SpotOco)
    )
    if found:
        raise OrderRulesError(str(instrument.instrument), found)


def _require_exit_notional(
    spec: EntrySpec, instrument: InstrumentSpec, prices: CurrentPrices
) -> None:
    """On futures a closing order needs no minimum notional."""
    least = instrument.min_notional
    if isinstance(spec, FuturesEntrySpec) or least is None:
        return
    qty, worst = least_exit_qty(spec, instrument, prices), min(spec.tp_price, spec.sl_trigger_price)
    if qty * worst < least:
        raise EntryRefusedError(
            EntryRule.EXIT_NOTIONAL,
            f"the exit would be worth {exact_text((qty * worst).normalize())} at the worst: "
            f"{exact_text(qty)} at {exact_text(worst)}; {spec.symbol} accepts "
            f"{exact_text(least)} at least: enter more",
        )


def require_room(spec: EntrySpec, worth: Decimal, facts: AdmissionFacts) -> None:
    """What other entries can take away between the judgement and the commit.

    Raises:
        EntryRefusedError: The daily cap is used up, or an entry of the other side was opened.
    """
    limits = facts.limits
    left = limits.daily_cap - facts.used_today
    if worth > left:
        raise EntryRefusedError(
            EntryRule.DAILY_CAP,
            f"the entry is worth {exact_text(worth)} USDT; {exact_text(max(left, _ZERO))} of "
            f"{exact_text(limits.daily_cap)} are left today, UTC (S1_ENTRY_DAILY_CAP)",
        )
    if isinstance(spec, FuturesEntrySpec) and spec.position_side is None:
        _require_no_conflict(spec, facts)


def _require_size(worth: Decimal, limits: EntryLimits) -> None:
    if worth > limits.max_usdt:
        raise EntryRefusedError(
            EntryRule.MAX_USDT,
            f"the entry is worth {exact_text(worth)} USDT; at most "
            f"{exact_text(limits.max_usdt)} are allowed (S1_ENTRY_MAX_USDT)",
        )


def _require_book(spec: EntrySpec, facts: AdmissionFacts, book: TopOfBook) -> None:
    risk = facts.risk
    if risk is None:
        return
    if risk.spread_bp_limit is not None and book.spread_bps > risk.spread_bp_limit:
        raise EntryRefusedError(
            EntryRule.SPREAD,
            f"the spread of {spec.instrument} is {book.spread_bps:.2f} bp; at most "
            f"{risk.spread_bp_limit:g} are allowed (S10 revision {risk.rev})",
        )
    if risk.depth_top1_usdt_min is not None and book.depth_usdt < risk.depth_top1_usdt_min:
        raise EntryRefusedError(
            EntryRule.DEPTH,
            f"the top of book of {spec.instrument} holds {book.depth_usdt:.2f} USDT; at least "
            f"{risk.depth_top1_usdt_min:g} are needed (S10 revision {risk.rev})",
        )


def _require_account(spec: FuturesEntrySpec, facts: AdmissionFacts) -> None:
    _require_position_side(spec, facts)
    if facts.agreement_refusal:
        raise EntryRefusedError(
            EntryRule.TRADFI_AGREEMENT,
            "the account has not signed the TradFi agreement; sign it on the exchange's page: "
            f"{facts.agreement_refusal}",
        )
    if facts.conditional_orders >= CONDITIONAL_ORDERS_MAX:
        raise EntryRefusedError(
            EntryRule.CONDITIONAL_ORDERS,
            f"the account has {facts.conditional_orders} open conditional orders; new entries "
            f"need fewer than {CONDITIONAL_ORDERS_MAX}, so that stops find room",
        )


def _require_position_side(spec: FuturesEntrySpec, facts: AdmissionFacts) -> None:
    if not facts.hedge_mode:
        if spec.position_side is not None:
            raise EntryRefusedError(
                EntryRule.POSITION_SIDE,
                "the account is in one-way mode: leave position_side out",
            )
        return
    right = HedgeSide.LONG if spec.side is Side.BUY else HedgeSide.SHORT
    if spec.position_side is not right:
        raise EntryRefusedError(
            EntryRule.POSITION_SIDE,
            f"the account is in hedge mode: a {spec.side.value} entry needs position_side "
            f"{right.value}",
        )


def _require_no_conflict(spec: FuturesEntrySpec, facts: AdmissionFacts) -> None:
    """In one-way mode two opposite entries would close each other."""
    held = facts.position_qty
    if held and (held > 0) is not (spec.side is Side.BUY):
        raise EntryRefusedError(
            EntryRule.POSITION_CONFLICT,
            f"the account holds {exact_text(held)} {spec.symbol}; a {spec.side.value} entry would "
            "reduce it: close the position first",
        )
    if any(other.side is not spec.side for other in facts.open_entries):
        raise EntryRefusedError(
            EntryRule.POSITION_CONFLICT,
            f"an open entry of {spec.symbol} has the other side: cancel it first",
        )
