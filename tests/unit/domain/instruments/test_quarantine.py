"""Quarantine: many rows of one status class that vanish or change at once are held back."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec, RegistryRow
from chimera_s1.domain.instruments.listing_read import ListingExtras, ListingRead
from chimera_s1.domain.instruments.quarantine import CONFIRM_AFTER_MS
from chimera_s1.domain.instruments.sync_plan import SyncPlan, plan_sync
from tests.sample_instruments import BRACKETS, perp_specs, registry_rows

T0 = 1_795_000_000_000
HOUR = CONFIRM_AFTER_MS


def read(specs: tuple[InstrumentSpec, ...]) -> ListingRead:
    return ListingRead(Venue.PERP, specs)


def settle(specs: tuple[InstrumentSpec, ...], count: int) -> tuple[InstrumentSpec, ...]:
    """The first *count* change their status."""
    changed = (structs.replace(spec, status="SETTLING") for spec in specs[:count])
    return (*changed, *specs[count:])


def after(rows: tuple[RegistryRow, ...], plan: SyncPlan) -> tuple[RegistryRow, ...]:
    """The registry's rows once *plan* is applied."""
    by_instrument = {row.instrument: row for row in rows}
    by_instrument.update({change.row.instrument: change.row for change in plan.changes})
    return tuple(by_instrument.values())


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60))
def test_more_than_a_fifth_of_a_large_class_is_held(size: int, settled: int, gone: int) -> None:
    """Vanished and changed rows count together; a class below 20 rows is never held."""
    gone = min(gone, size - 1)
    settled = min(settled, size - gone)
    specs = perp_specs(size)
    plan = plan_sync(registry_rows(specs), read(settle(specs, settled)[: size - gone]), now=T0)
    held = plan.quarantine.instruments()

    if size >= 20 and (settled + gone) * 5 > size:
        changed = {spec.instrument for spec in (*specs[:settled], *specs[size - gone :])}
        assert held == changed
        assert not plan.changes
        assert plan.quarantine.newly_held == plan.quarantine.held
    else:
        assert not held
        assert len(plan.changes) == settled + gone


def test_the_operator_reads_how_many_of_how_many() -> None:
    """With the share that is allowed."""
    specs = perp_specs(30)
    plan = plan_sync(registry_rows(specs), read(settle(specs, 6)[:26]), now=T0)

    (held,) = plan.quarantine.held
    assert held.reason == (
        "of 30 rows that are trading, 4 would vanish and 6 would change; "
        "more than 20 % at once is held"
    )


def test_other_classes_and_new_instruments_are_applied() -> None:
    """Only the rows of the class in question wait."""
    trading, settling = perp_specs(30), perp_specs(30, "SETTLING")
    listed = (*settle(trading, 30), *settling[1:], *perp_specs(1, "PENDING_TRADING"))
    plan = plan_sync(registry_rows((*trading, *settling)), read(listed), now=T0)

    assert plan.quarantine.instruments() == {spec.instrument for spec in trading}
    assert {(str(c.row.instrument), c.row.content.listed) for c in plan.changes} == {
        ("perp/SET000USDT", False),
        ("perp/PEN000USDT", True),
    }


@pytest.mark.parametrize(
    ("later_ms", "applied"), [(60_000, False), (HOUR - 1, False), (HOUR, True), (-HOUR, False)]
)
def test_a_second_read_an_hour_later_that_says_the_same_is_applied(
    later_ms: int,
    applied: bool,
) -> None:
    """Sooner it is still held, since the first read, and not reported as new."""
    specs = perp_specs(40)
    rows, listing = registry_rows(specs), read(settle(specs, 40))
    first = plan_sync(rows, listing, now=T0).quarantine
    second = plan_sync(rows, listing, now=T0 + later_ms, held=first.held)

    assert not second.quarantine.newly_held
    if applied:
        assert len(second.changes) == 40
        assert second.quarantine.released == first.held
        assert not second.quarantine.held
    else:
        assert not second.changes
        assert [each.since for each in second.quarantine.held] == [min(T0, T0 + later_ms)]


def test_a_second_read_that_says_something_else_starts_again() -> None:
    """An hour after the first, other rows are gone: nothing is confirmed."""
    specs = perp_specs(40)
    rows = registry_rows(specs)
    first = plan_sync(rows, read(specs[:20]), now=T0).quarantine
    second = plan_sync(rows, read(specs[20:]), now=T0 + HOUR, held=first.held)

    assert not second.changes
    assert second.quarantine.newly_held == second.quarantine.held
    assert [each.since for each in second.quarantine.held] == [T0 + HOUR]


def test_an_operator_may_accept_at_once() -> None:
    """`chimera-s1 instruments sync --accept`."""
    specs = perp_specs(40)
    rows, listing = registry_rows(specs), read(settle(specs, 40))
    first = plan_sync(rows, listing, now=T0).quarantine
    second = plan_sync(rows, listing, now=T0 + 1, held=first.held, accept=True)

    assert len(second.changes) == 40
    assert not second.quarantine.held
    assert second.quarantine.released == first.held


def test_what_the_venue_takes_back_is_released() -> None:
    """The next read is as before: nothing is held, and nothing has changed."""
    specs = perp_specs(40)
    rows = registry_rows(specs)
    first = plan_sync(rows, read(specs[:20]), now=T0).quarantine
    second = plan_sync(rows, read(specs), now=T0 + 60_000, held=first.held)

    assert not second.changes
    assert not second.quarantine.held
    assert second.quarantine.released == first.held


def test_brackets_and_intervals_are_never_held() -> None:
    """They change for all rows at once when the account or the rule does."""
    specs = perp_specs(40)
    extras = ListingExtras(
        leverage_brackets={spec.instrument.symbol: BRACKETS for spec in specs},
        funding_intervals={},
    )
    plan = plan_sync(registry_rows(specs), read(specs), now=T0, extras=extras)

    assert len(plan.changes) == 40
    assert not plan.quarantine.held


def test_a_held_row_takes_what_other_reads_say() -> None:
    """Its spec stays the stored one."""
    specs = perp_specs(40)
    changed = tuple(structs.replace(spec, tick_size=Decimal(5)) for spec in specs)
    extras = ListingExtras(funding_intervals={specs[0].instrument.symbol: 4})
    plan = plan_sync(registry_rows(specs), read(changed), now=T0, extras=extras)
    first = plan.changes[0]

    assert len(plan.quarantine.instruments()) == 40
    assert first.row.content.spec == specs[0]
    assert first.row.content.funding_interval_h == 4
    assert first.source == "fundingInfo"


def test_trading_that_is_resumed_everywhere_is_not_held() -> None:
    """After a venue-wide halt of more than an hour; the rules are the stored ones."""
    halted = perp_specs(40, "TRADING_HALT")
    resumed = tuple(structs.replace(spec, status="TRADING") for spec in halted)
    plan = plan_sync(registry_rows(halted), read(resumed), now=T0)

    assert len(plan.changes) == 40
    assert not plan.quarantine.held


def test_trading_that_is_resumed_under_other_rules_is_held() -> None:
    """Status and tick size change: this may be somebody else's listing."""
    halted = perp_specs(40, "TRADING_HALT")
    resumed = tuple(
        structs.replace(spec, status="TRADING", tick_size=Decimal(5)) for spec in halted
    )

    assert (
        len(plan_sync(registry_rows(halted), read(resumed), now=T0).quarantine.instruments()) == 40
    )


def test_rows_that_return_are_not_held() -> None:
    """What was applied wrongly is mended by the next good read, at once."""
    specs = perp_specs(40)
    rows = registry_rows(specs)
    gone = plan_sync(rows, read(specs[:10]), now=T0, accept=True)
    back = plan_sync(after(rows, gone), read(specs), now=T0 + 1)

    assert len(gone.changes) == len(back.changes) == 30
    assert all(change.row.content.listed for change in back.changes)
    assert not back.quarantine.held


def with_market_filter(specs: tuple[InstrumentSpec, ...], text: str) -> tuple[InstrumentSpec, ...]:
    """As a listing gives it: the maximum is a field of its own, too."""
    return tuple(
        structs.replace(
            spec,
            market_max_qty=Decimal(len(text)),
            filters=(text,),
        )
        for spec in specs
    )


MARKET_MAX_1 = '{"filterType":"MARKET_LOT_SIZE","maxQty":"104.34142329"}'
MARKET_MAX_2 = '{"filterType":"MARKET_LOT_SIZE","maxQty":"98.1"}'


def test_a_new_maximum_of_market_orders_is_applied_to_all_at_once() -> None:
    """Spot computes it for all symbols; orders must not be sized by the old one."""
    rows = registry_rows(with_market_filter(perp_specs(40), MARKET_MAX_1))

    plan = plan_sync(rows, read(with_market_filter(perp_specs(40), MARKET_MAX_2)), now=T0)

    assert (len(plan.changes), plan.quarantine.held) == (40, ())


def test_a_new_maximum_of_market_orders_does_not_begin_the_hour_again() -> None:
    rows = registry_rows(with_market_filter(perp_specs(40), MARKET_MAX_1))
    first = read(settle(with_market_filter(perp_specs(40), MARKET_MAX_1), 20))
    second = read(settle(with_market_filter(perp_specs(40), MARKET_MAX_2), 20))
    held = plan_sync(rows, first, now=T0).quarantine.held
    assert len(held) == 1

    plan = plan_sync(rows, second, now=T0 + HOUR, held=held)

    assert (len(plan.changes), plan.quarantine.held) == (40, ())


def test_a_filter_of_market_orders_that_is_gone_everywhere_is_held() -> None:
    rows = registry_rows(with_market_filter(perp_specs(40), MARKET_MAX_1))

    plan = plan_sync(
        rows, read(with_market_filter(perp_specs(40), '{"filterType":"LOT_SIZE"}')), now=T0
    )

    assert len(plan.quarantine.instruments()) == 40
