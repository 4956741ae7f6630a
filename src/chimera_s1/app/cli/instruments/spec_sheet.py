"""An instrument as text: its rules, dates and thresholds, in lines of at most 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    LeverageBracket,
    LeverageBrackets,
    RegistryRow,
)
from chimera_s1.domain.money import exact_text

_WIDTH = 80
_LABEL = 16
_SHOWN_ABOVE = {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL", "NOTIONAL"}


def spec_sheet(row: RegistryRow) -> tuple[str, ...]:
    content, spec = row.content, row.content.spec
    lines = [_title(content), ""]
    for label, text in (
        *_kind(spec),
        *_rules(spec),
        *_orders(spec),
        *_futures(content),
        *_dates(content),
        ("thresholds", _thresholds(content)),
        *(("other rule", text) for text in _other_filters(spec)),
        ("registry", f"version {row.version}, changed {format_utc(row.updated_at)[:19]} UTC"),
        ("", f"last listed {format_utc(row.checked_at)[:19]} UTC"),
        ("hash", row.spec_hash),
    ):
        lines += _labelled(label, text)
    return tuple(lines)


def _title(content: InstrumentContent) -> str:
    spec = content.spec
    return f"{spec.instrument}  {spec.status}{'' if content.listed else ', no longer listed'}"


def _kind(spec: InstrumentSpec) -> Iterator[tuple[str, str]]:
    margin = f", margin in {spec.margin_asset}" if spec.margin_asset else ""
    yield "asset", f"{spec.base_asset} in {spec.quote_asset}{margin}"
    if spec.contract_type:
        types = (spec.contract_type, spec.underlying_type, *spec.underlying_sub_types)
        yield "contract", ", ".join(each for each in types if each)


def _rules(spec: InstrumentSpec) -> Iterator[tuple[str, str]]:
    yield "price", _range(spec.tick_size, spec.min_price, spec.max_price)
    yield "quantity", _range(spec.step_size, spec.min_qty, spec.max_qty)
    yield (
        "market order",
        _range(spec.market_step_size, spec.market_min_qty, spec.market_max_qty),
    )
    yield "notional", _bounds(spec.min_notional, spec.max_notional)
    market = (spec.market_min_notional, spec.market_max_notional)
    if market != (spec.min_notional, spec.max_notional):
        yield "market notional", _bounds(*market)


def _orders(spec: InstrumentSpec) -> Iterator[tuple[str, str]]:
    yield "order types", ", ".join(spec.order_types) or "none"
    if spec.times_in_force:
        yield "time in force", ", ".join(spec.times_in_force)
    if spec.instrument.venue is Venue.SPOT:
        lists = {"OCO": spec.oco_allowed, "OTO": spec.oto_allowed, "OPO": spec.opo_allowed}
        yield "order lists", ", ".join(name for name, allowed in lists.items() if allowed) or "none"


def _futures(content: InstrumentContent) -> Iterator[tuple[str, str]]:
    if content.spec.instrument.venue is not Venue.PERP:
        return
    hours = content.funding_interval_h
    yield "funding", f"every {hours} h" if hours else "none"
    brackets = content.leverage_brackets
    if brackets is None:
        yield "leverage", "not known: it needs an exchange key"
    else:
        yield "leverage", _leverage(brackets)
        yield from (("", _bracket(each)) for each in brackets.brackets)


def _bracket(each: LeverageBracket) -> str:
    percent = exact_text(each.maintenance_margin_ratio * 100)
    less = f" less {exact_text(each.cumulative)}" if each.cumulative else ""
    cap = exact_text(each.notional_cap)
    return f"{each.initial_leverage:>3}x up to {cap}, maintenance {percent} %{less}"


def _leverage(brackets: LeverageBrackets) -> str:
    coefficient = brackets.notional_coef
    factor = "" if coefficient is None else f", caps times {exact_text(coefficient)}"
    return f"of account {brackets.account}{factor}"


def _dates(content: InstrumentContent) -> Iterator[tuple[str, str]]:
    for label, moment in (
        ("first trade", content.spec.onboard_date),
        ("delivery", content.spec.delivery_date),
        ("delisting", content.delisting_date),
    ):
        if moment is not None:
            yield label, f"{format_utc(moment)[:16]} UTC"


def _thresholds(content: InstrumentContent) -> str:
    risk = content.risk
    if risk is None:
        return "none from S10"
    spread, depth = risk.spread_bp_limit, risk.depth_top1_usdt_min
    parts = [
        "" if spread is None else f"spread up to {spread:g} bp",
        "" if depth is None else f"depth from {depth:.0f} USDT",
        f"revision {risk.rev}",
    ]
    return ", ".join(part for part in parts if part)


def _other_filters(spec: InstrumentSpec) -> Iterator[str]:
    for text in spec.filters:
        members = msgspec.json.decode(text)
        name = members.pop("filterType", "?")
        if name not in _SHOWN_ABOVE:
            yield " ".join([str(name), *(f"{key}={_plain(each)}" for key, each in members.items())])


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _range(step: Decimal | None, low: Decimal | None, high: Decimal | None) -> str:
    parts = ["" if step is None else f"step {exact_text(step)}", _bounds(low, high)]
    return ", ".join(part for part in parts if part)


def _bounds(low: Decimal | None, high: Decimal | None) -> str:
    parts = [
        "" if low is None else f"from {exact_text(low)}",
        "" if high is None else f"up to {exact_text(high)}",
    ]
    return " ".join(part for part in parts if part)


def _labelled(label: str, text: str) -> Sequence[str]:
    indent = " " * _LABEL
    return textwrap.wrap(
        text or "no rule",
        _WIDTH,
        initial_indent=label.ljust(_LABEL),
        subsequent_indent=indent,
    )
