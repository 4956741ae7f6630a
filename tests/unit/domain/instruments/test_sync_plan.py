"""What a read of a venue changes in the registry."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.canonical import spec_hash
from chimera_s1.domain.instruments.enumerations import (
    StatusClass,
    UnknownValue,
    status_class,
    unknown_values,
)
from chimera_s1.domain.instruments.instrument import InstrumentSpec, RegistryRow
from chimera_s1.domain.instruments.listing_read import (
    ListingExtras,
    ListingRead,
    UnusableListing,
)
from chimera_s1.domain.instruments.sync_plan import SyncPlan, plan_extras, plan_sync
from chimera_s1.domain.operations.active_configuration import RiskLimits
from tests.sample_instruments import BRACKETS, BTC_PERP, BTC_SPOT, perp_spec, registry_rows

T0 = 1_795_000_000_000
SYMBOLS = [f"C{number:02}USDT" for number in range(40)]
STATUSES = ["TRADING", "SETTLING", "CLOSE", "NEW_STATUS"]
LISTINGS = st.dictionaries(st.sampled_from(SYMBOLS), st.sampled_from(STATUSES), min_size=1).map(
    lambda listed: tuple(perp_spec(symbol, status) for symbol, status in listed.items())
)
INTERVALS = st.none() | st.dictionaries(
    st.sampled_from(SYMBOLS).map(Symbol), st.sampled_from([1, 4, 8])
)


def read(*specs: InstrumentSpec, unusable: tuple[UnusableListing, ...] = ()) -> ListingRead:
    return ListingRead(specs[0].instrument.venue if specs else Venue.PERP, specs, unusable)


def sync(rows: tuple[RegistryRow, ...], listing: ListingRead, **options: Any) -> SyncPlan:
    return plan_sync(rows, listing, now=options.pop("now", T0), **options)


def after(rows: tuple[RegistryRow, ...], plan: SyncPlan, now: int) -> tuple[RegistryRow, ...]:
    """The registry's rows once *plan* is applied."""
    by_instrument = {row.instrument: row for row in rows}
    by_instrument.update({change.row.instrument: change.row for change in plan.changes})
    by_instrument.update(
        {i: structs.replace(by_instrument[i], checked_at=now) for i in plan.checked}
    )
    return tuple(by_instrument[i] for i in sorted(by_instrument))


@settings(max_examples=40)
@given(LISTINGS, LISTINGS, INTERVALS, st.booleans())
def test_the_same_read_twice_changes_nothing(
    first: tuple[InstrumentSpec, ...],
    second: tuple[InstrumentSpec, ...],
    intervals: dict[Symbol, int] | None,
    accept: bool,
) -> None:
    """But the time of the check; whatever is held, and whatever was there before."""
    extras = ListingExtras(funding_intervals=intervals)
    rows = after((), sync((), read(*first)), T0)
    once = sync(rows, read(*second), now=T0 + 1, extras=extras, accept=accept)
    rows = after(rows, once, T0 + 1)
    again = sync(
        rows, read(*second), now=T0 + 2, extras=extras, accept=accept, held=once.quarantine.held
    )

    assert not again.changes
    assert not again.unknown
    assert not again.quarantine.newly_held
    assert again.quarantine.held == once.quarantine.held
    assert set(again.checked) == {spec.instrument for spec in second} & {
        row.instrument for row in rows
    }


@settings(max_examples=40)
@given(LISTINGS, LISTINGS, INTERVALS)
def test_every_instrument_ends_as_the_venue_lists_it(
    first: tuple[InstrumentSpec, ...],
    second: tuple[InstrumentSpec, ...],
    intervals: dict[Symbol, int] | None,
) -> None:
    """Without quarantine. What vanished stays, with its last spec; each change is a version."""
    rows = after((), sync((), read(*first)), T0)
    plan = sync(
        rows,
        read(*second),
        now=T0 + 1,
        extras=ListingExtras(funding_intervals=intervals),
        accept=True,
    )
    ends = {row.instrument: row for row in after(rows, plan, T0 + 1)}
    listed = {spec.instrument: spec for spec in second}
    before = {row.instrument: row for row in rows}

    assert ends.keys() == listed.keys() | before.keys()
    for instrument, row in ends.items():
        assert row.content.listed == (instrument in listed)
        assert row.content.spec == listed.get(instrument, row.content.spec)
        assert row.checked_at == (T0 + 1 if instrument in listed else T0)
        assert row.spec_hash == spec_hash(row.content)
    for change in plan.changes:
        old = before.get(change.row.instrument)
        assert change.row.version == (old.version + 1 if old else 1)
        assert change.old_hash == (old.spec_hash if old else "")
        assert bool(change.difference) == bool(old)
        assert change.row.updated_at == T0 + 1
        assert change.source


def test_an_instrument_that_vanished_keeps_its_last_status() -> None:
    """And says that it is not listed; its brackets are not asked for any more."""
    rows = registry_rows((BTC_PERP, perp_spec("ETHUSDT")))
    plan = sync(rows, read(BTC_PERP), now=T0, extras=ListingExtras(leverage_brackets={}))
    (change,) = plan.changes

    assert change.row.content.spec.status == "TRADING"
    assert change.difference == (("listed", "true", "false"),)
    assert change.row.checked_at == 0
    assert change.source == "exchangeInfo"
    assert plan.checked == (BTC_PERP.instrument,)


def test_an_instrument_that_returns_is_a_change() -> None:
    """Of what the registry knows: versions go on."""
    rows = registry_rows((BTC_PERP, perp_spec("ETHUSDT")))
    rows = after(rows, sync(rows, read(BTC_PERP)), T0)
    plan = sync(rows, read(BTC_PERP, perp_spec("ETHUSDT")), now=T0 + 1, source="!contractInfo")
    (change,) = plan.changes

    assert (change.row.version, change.row.content.listed) == (3, True)
    assert change.difference == (("listed", "false", "true"),)
    assert change.source == "!contractInfo"


def test_a_row_that_cannot_be_read_is_neither_changed_nor_gone() -> None:
    """It is not checked either; the others are applied."""
    rows = registry_rows((BTC_PERP, perp_spec("ETHUSDT"), perp_spec("XRPUSDT")))
    plan = sync(rows, read(BTC_PERP, unusable=(UnusableListing("ETHUSDT", "tickSize"),)))

    assert [str(change.row.instrument) for change in plan.changes] == ["perp/XRPUSDT"]
    assert plan.checked == (BTC_PERP.instrument,)


def test_a_row_that_cannot_be_read_keeps_what_other_reads_said() -> None:
    """Its thresholds are not withdrawn because this listing did not name it."""
    ether, limits = perp_spec("ETHUSDT"), RiskLimits(rev=12, spread_bp_limit=5.0)
    rows = after((), sync((), read(BTC_PERP, ether)), T0)
    named = ListingExtras(risk={ether.instrument: limits})
    rows = tuple(change.row for change in plan_extras(rows, named, now=T0)) + rows[:1]
    unreadable = read(BTC_PERP, unusable=(UnusableListing("ETHUSDT", "tickSize"),))

    assert not sync(rows, unreadable, extras=ListingExtras(risk={})).changes


def test_a_row_without_a_symbol_may_be_any_of_those_missing() -> None:
    """So nothing has vanished as long as there is one."""
    rows = registry_rows((BTC_PERP, perp_spec("ETHUSDT")))
    plan = sync(rows, read(BTC_PERP, unusable=(UnusableListing("", "null"),)))

    assert not plan.changes


def test_an_empty_listing_is_refused() -> None:
    """Also by an empty registry, and whatever an operator accepts."""
    rows = registry_rows((BTC_PERP,))

    for stored in (rows, ()):
        plan = sync(stored, read(), accept=True)
        assert plan.refused == "the listing of perp has no usable row"
        assert not plan.changes
        assert not plan.checked


def test_a_refused_listing_leaves_what_is_held() -> None:
    """It says nothing about it."""
    specs = tuple(perp_spec(symbol) for symbol in SYMBOLS)
    held = sync(registry_rows(specs), read(*specs[:20])).quarantine.held

    assert sync(registry_rows(specs), read(), held=held).quarantine.held == held


def test_a_first_listing_that_is_mostly_unreadable_is_refused() -> None:
    """A registry that has rows takes the good ones."""
    unusable = tuple(UnusableListing(symbol, "tickSize") for symbol in SYMBOLS[:2])

    assert sync((), read(BTC_PERP, unusable=unusable)).refused == (
        "the first listing of perp has only 1 usable rows, and 2 that cannot be read"
    )
    assert not sync(registry_rows((BTC_PERP,)), read(BTC_PERP, unusable=unusable)).refused


def test_a_first_sync_is_not_quarantined() -> None:
    """Everything in it is new."""
    specs = tuple(perp_spec(symbol, "SETTLING") for symbol in SYMBOLS)
    plan = sync((), read(*specs))

    assert len(plan.changes) == len(specs)
    assert {change.source for change in plan.changes} == {"exchangeInfo"}


def test_rows_of_the_other_venue_are_left_alone() -> None:
    """A spot read says nothing about futures."""
    plan = sync(registry_rows((BTC_PERP,)), read(BTC_SPOT))

    assert [change.row.instrument.venue for change in plan.changes] == [Venue.SPOT]


def test_other_reads_add_what_exchange_info_does_not_say() -> None:
    """Brackets and intervals for futures, a delisting date for spot."""
    day = 1_796_000_000_000
    extras = ListingExtras(
        leverage_brackets={Symbol("BTCUSDT"): BRACKETS},
        funding_intervals={},
        delisting_dates={BTC_SPOT.instrument: day},
        risk={BTC_PERP.instrument: RiskLimits(rev=12, spread_bp_limit=5.0)},
    )
    (perp,) = sync((), read(BTC_PERP), extras=extras).changes
    (spot,) = sync((), read(BTC_SPOT), extras=extras).changes

    assert perp.row.content.leverage_brackets == BRACKETS
    assert perp.row.content.funding_interval_h == 8
    assert perp.row.content.delisting_date is None
    assert perp.source == "exchangeInfo, leverageBracket, fundingInfo, s10"
    assert spot.row.content.leverage_brackets is None
    assert spot.row.content.funding_interval_h is None
    assert spot.row.content.delisting_date == day
    assert spot.source == "exchangeInfo, delist-schedule"


def test_a_perpetual_that_is_not_named_settles_every_8_hours() -> None:
    """A dated contract pays no funding; one that fundingInfo names does, whatever it is called."""
    dated = structs.replace(BTC_PERP, contract_type="CURRENT_QUARTER")
    stock = structs.replace(BTC_PERP, contract_type="TRADIFI_PERPETUAL")
    new = structs.replace(BTC_PERP, contract_type="ETERNAL")

    def interval(spec: InstrumentSpec, intervals: dict[Symbol, int]) -> int | None:
        plan = sync((), read(spec), extras=ListingExtras(funding_intervals=intervals))
        return plan.changes[0].row.content.funding_interval_h

    assert interval(dated, {}) is None
    assert interval(stock, {}) == 8
    assert interval(stock, {Symbol("BTCUSDT"): 4}) == 4
    assert interval(new, {}) is None
    assert interval(new, {Symbol("BTCUSDT"): 1}) == 1


def test_what_was_not_read_stays() -> None:
    """After a failed read, without a key, or where a row cannot be used, nothing is removed."""
    symbol = Symbol("BTCUSDT")
    extras = ListingExtras(leverage_brackets={symbol: BRACKETS}, funding_intervals={symbol: 4})
    rows = after((), sync((), read(BTC_PERP), extras=extras), T0)
    unusable = ListingExtras(leverage_brackets={}, funding_intervals={symbol: None})

    assert not sync(rows, read(BTC_PERP)).changes
    assert not sync(rows, read(BTC_PERP), extras=unusable).changes


def test_a_revision_that_repeats_the_limits_is_no_change() -> None:
    """The row says which revision set them."""
    instrument = BTC_PERP.instrument
    limits = RiskLimits(rev=12, spread_bp_limit=5.0)
    rows = after((), sync((), read(BTC_PERP)), T0)
    (first,) = plan_extras(rows, ListingExtras(risk={instrument: limits}), now=T0)
    repeated = ListingExtras(risk={instrument: structs.replace(limits, rev=13)})
    raised = ListingExtras(risk={instrument: RiskLimits(rev=14, spread_bp_limit=7.0)})

    assert first.source == "s10"
    assert not plan_extras((first.row,), repeated, now=T0)
    (third,) = plan_extras((first.row,), raised, now=T0 + 1)
    assert third.difference == (("risk.rev", "12", "14"), ("risk.spread_bp_limit", "5", "7"))
    assert third.row.checked_at == first.row.checked_at


def test_an_unknown_value_is_kept_and_reported_once() -> None:
    """With the first instrument that has it; later rows with it are not news."""
    odd = structs.replace(
        BTC_PERP,
        status="NAPPING",
        contract_type="ETERNAL",
        underlying_type="WEATHER",
        order_types=("LIMIT", "WISH"),
        times_in_force=("GTN",),
        filters=(*BTC_PERP.filters, '{"filterType":"MOON_PHASE"}'),
    )
    other = structs.replace(odd, instrument=InstrumentId(Venue.PERP, Symbol("ETHUSDT")))
    first = sync((), read(odd))
    rows = after((), first, T0)

    assert dict(first.unknown) == {
        UnknownValue("status", "NAPPING"): odd.instrument,
        UnknownValue("contract_type", "ETERNAL"): odd.instrument,
        UnknownValue("underlying_type", "WEATHER"): odd.instrument,
        UnknownValue("order_type", "WISH"): odd.instrument,
        UnknownValue("time_in_force", "GTN"): odd.instrument,
        UnknownValue("filter", "MOON_PHASE"): odd.instrument,
    }
    assert first.changes[0].row.content.spec == odd
    assert not sync(rows, read(odd, other)).unknown


def test_statuses_of_both_venues_have_a_class() -> None:
    """The new ones of 2026 too; any other text is unknown, and no error."""
    assert status_class("TRADING_HALT") is StatusClass.HALTED
    assert status_class("TRADING_CANCEL_ONLY") is StatusClass.CANCEL_ONLY
    assert status_class("CANCEL_ONLY") is StatusClass.CANCEL_ONLY
    assert status_class("PRE_SETTLE") is StatusClass.SETTLING
    assert status_class("BREAK") is StatusClass.HALTED
    assert status_class("trading") is StatusClass.UNKNOWN
    assert not unknown_values((BTC_PERP, BTC_SPOT))


def test_a_change_of_one_field_is_a_change_of_the_row() -> None:
    """With the field's old and new text."""
    plan = sync(registry_rows((BTC_PERP,)), read(structs.replace(BTC_PERP, tick_size=Decimal(1))))

    assert plan.changes[0].difference == (("tick_size", "0.1", "1"),)
