"""Syncs of the registry: what is written, said and kept when a part fails."""

from collections.abc import Mapping

import anyio
import pytest
from msgspec import structs

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.refused_changes import keep_change, replay_change
from chimera_s1.app.capabilities.instruments.run_syncs import SECOND_READ_MS, RunSyncs
from chimera_s1.app.capabilities.instruments.sync_instruments import (
    ListingRefusedError,
    SyncInstruments,
)
from chimera_s1.app.capabilities.operations.handle_dead_letters import ReplayFailedError
from chimera_s1.domain.errors import (
    ExchangeUnavailableError,
    InvalidValueError,
    StoreUnavailableError,
)
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.listing_read import UnusableListing
from chimera_s1.domain.operations.active_configuration import RiskLimits
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.ports.instrument_registry import RefusedChange
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.fakes.instrument_source import MemoryInstrumentSource
from tests.fakes.manual_clock import ManualClock, settle
from tests.sample_instruments import BRACKETS, BTC_PERP, BTC_SPOT, perp_spec, perp_specs

HOUR_MS = 3_600_000


class Limits:
    """Thresholds of one revision for every instrument."""

    def __init__(self) -> None:
        self.rev = 1

    def limits(self, _: InstrumentId) -> RiskLimits:
        return RiskLimits(rev=self.rev, spread_bp_limit=float(self.rev))


class Rig:
    """An instance with its registry in memory."""

    def __init__(self, registry: FakeInstrumentRegistry | None = None) -> None:
        self.source = MemoryInstrumentSource([BTC_PERP, BTC_SPOT])
        self.registry = registry or FakeInstrumentRegistry()
        self.clock = ManualClock()
        self.catalog = InstrumentCatalog()
        self.limits = Limits()
        self.events: list[tuple[str, EventDetail]] = []
        self.woken = 0
        self.refused: list[RefusedChange] = []
        self.sync = self._new_sync()
        self.syncs = RunSyncs(self.sync, self.catalog, tuple(Venue))

    def use(self, source: MemoryInstrumentSource) -> None:
        self.source = source
        self.sync = self._new_sync()

    def _new_sync(self) -> SyncInstruments:
        return SyncInstruments(
            self.source,
            self.registry,
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
            risk_limits=self.limits,
            wake_readers=self.wake,
            on_refused=self.refused.append,
        )

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_sync_without_changes_writes_only_when_it_was_checked(rig: Rig) -> None:
    await rig.syncs.sync_venues()
    before = {row.instrument: row for row in await rig.registry.rows()}
    await rig.clock.advance(60_000)

    result = await rig.syncs.sync_venues()

    assert result.sentence == (
        "spot: 1 listed, 0 new, 0 changed, 0 gone; perp: 1 listed, 0 new, 0 changed, 0 gone"
    )
    assert len(await rig.registry.changes()) == 2
    assert rig.woken == 2  # once for each venue, by the first sync
    for row in await rig.registry.rows():
        assert row == structs.replace(before[row.instrument], checked_at=row.checked_at)
        assert row.checked_at == before[row.instrument].checked_at + 60_000


async def test_a_row_holds_what_all_reads_say(rig: Rig) -> None:
    rig.source.brackets = {BTC_PERP.instrument.symbol: BRACKETS}
    rig.source.intervals = {BTC_PERP.instrument.symbol: 4}
    rig.source.delistings = {BTC_SPOT.instrument: 1_800_000_000_000}

    await rig.syncs.sync_venues()

    perp = await rig.registry.find(BTC_PERP.instrument)
    spot = await rig.registry.find(BTC_SPOT.instrument)
    assert perp is not None
    assert spot is not None
    assert perp.content.leverage_brackets == BRACKETS
    assert perp.content.funding_interval_h == 4
    assert perp.content.risk == RiskLimits(rev=1, spread_bp_limit=1.0)
    assert spot.content.delisting_date == 1_800_000_000_000


async def test_a_venue_that_fails_does_not_keep_the_other_from_its_sync(rig: Rig) -> None:
    """The job fails with the venue's words, and the catalog shows them until it succeeds."""
    rig.source.specs = [BTC_PERP]  # the listing of spot is empty

    with pytest.raises(ListingRefusedError, match="the listing of spot has no usable row"):
        await rig.syncs.sync_venues()

    assert await rig.registry.find(BTC_PERP.instrument) is not None
    assert "no usable row" in rig.catalog.problem(Venue.SPOT)
    rig.source.specs = [BTC_PERP, BTC_SPOT]
    await rig.syncs.sync_venues()
    assert not rig.catalog.problem(Venue.SPOT)


async def test_a_store_that_fails_in_the_middle_gets_the_rest_from_the_next_sync(rig: Rig) -> None:
    rig.source.specs = [*perp_specs(10), BTC_SPOT]
    rig.registry.fails_after = 4

    with pytest.raises(StoreUnavailableError):
        await rig.syncs.sync(Venue.PERP)
    assert len(await rig.registry.rows(Venue.PERP)) == 4  # the fault fired

    result = await rig.syncs.sync(Venue.PERP)

    assert result.added == 6
    changes = [each.change for each in await rig.registry.changes()]
    assert sorted(each.row.instrument for each in changes) == [
        spec.instrument for spec in sorted(perp_specs(10), key=lambda spec: spec.instrument)
    ]


async def test_what_quarantine_holds_is_said_and_read_again_in_an_hour(rig: Rig) -> None:
    """Everything SETTLING at once; the second read says the same, and it is applied."""
    rig.source.specs = list(perp_specs(40))
    await rig.syncs.sync(Venue.PERP)
    rig.source.specs = [structs.replace(spec, status="SETTLING") for spec in perp_specs(40)]

    held = await rig.syncs.sync_one(Venue.PERP, "exchangeInfo")

    assert held.again_ms == SECOND_READ_MS
    assert held.sentence == "perp: 40 listed, 0 new, 0 changed, 0 gone, 40 in quarantine"
    assert {row.content.spec.status for row in await rig.registry.rows(Venue.PERP)} == {"TRADING"}
    kinds = [(kind, detail["rows"]) for kind, detail in rig.events if "rows" in detail]
    assert kinds == [("instruments.held", 40)]
    await rig.clock.advance(held.again_ms)

    applied = await rig.syncs.sync_one(Venue.PERP, "exchangeInfo")

    assert (applied.again_ms, applied.sentence) == (
        None,
        "perp: 40 listed, 0 new, 40 changed, 0 gone",
    )
    assert rig.events[-1][0] == "instruments.released"


@pytest.mark.parametrize("step_ms", [-HOUR_MS, HOUR_MS])
async def test_row_63_a_stepped_clock_neither_confirms_a_wrong_listing_nor_keeps_it_held(
    rig: Rig, step_ms: int
) -> None:
    """A second read an hour later means an hour that has passed."""
    rig.source.specs = list(perp_specs(40))
    await rig.syncs.sync(Venue.PERP)
    rig.source.specs = list(perp_specs(20))
    assert (await rig.syncs.sync(Venue.PERP)).held == 20

    rig.clock.step_wall_clock(step_ms)
    assert (await rig.syncs.sync(Venue.PERP)).held == 20

    await rig.clock.advance(HOUR_MS)
    assert (await rig.syncs.sync(Venue.PERP)).vanished == 20


async def test_a_process_that_did_not_see_the_first_read_waits_an_hour_of_its_own() -> None:
    registry = FakeInstrumentRegistry()
    one, other = Rig(registry), Rig(registry)
    one.source.specs = list(perp_specs(40))
    await one.syncs.sync(Venue.PERP)
    one.source.specs = other.source.specs = list(perp_specs(20))
    await one.syncs.sync(Venue.PERP)
    await other.clock.advance(2 * HOUR_MS)
    assert (await other.syncs.sync(Venue.PERP)).held == 20

    await other.clock.advance(HOUR_MS)
    assert (await other.syncs.sync(Venue.PERP)).vanished == 20


async def test_an_operator_can_accept_what_is_held(rig: Rig) -> None:
    rig.source.specs = list(perp_specs(40))
    await rig.syncs.sync(Venue.PERP)
    rig.source.specs = list(perp_specs(20))
    assert (await rig.syncs.sync(Venue.PERP)).held == 20

    accepted = await rig.syncs.sync(Venue.PERP, accept=True)

    assert (accepted.held, accepted.vanished) == (0, 20)
    gone = [row for row in await rig.registry.rows(Venue.PERP) if not row.content.listed]
    assert len(gone) == 20


async def test_a_part_that_cannot_be_read_keeps_what_is_stored(rig: Rig) -> None:
    """The listing is applied; the report says what was not read."""

    class WithoutBrackets(MemoryInstrumentSource):
        async def leverage_brackets(self) -> None:
            raise ExchangeUnavailableError("GET /fapi/v1/leverageBracket: 503")

    rig.source.brackets = {BTC_PERP.instrument.symbol: BRACKETS}
    await rig.syncs.sync(Venue.PERP)
    changed = structs.replace(BTC_PERP, status="SETTLING")
    rig.sync = SyncInstruments(
        WithoutBrackets([changed]),
        rig.registry,
        clock=rig.clock,
        record=lambda *_: None,
        risk_limits=None,
        wake_readers=lambda: None,
        on_refused=lambda _: None,
    )

    await rig.sync.sync(Venue.PERP)

    row = await rig.registry.find(BTC_PERP.instrument)
    assert row is not None
    assert (row.content.spec.status, row.content.leverage_brackets) == ("SETTLING", BRACKETS)
    assert rig.sync.reads[Venue.PERP].extras_problem == (
        "leverage brackets were not read: GET /fapi/v1/leverageBracket: 503"
    )


async def test_new_thresholds_are_written_without_asking_the_venue(rig: Rig) -> None:
    await rig.syncs.sync_venues()
    reads = rig.source.reads
    rig.limits.rev = 2

    result = await rig.syncs.apply_limits()

    assert (result.sentence, rig.source.reads) == ("2 instruments have new thresholds", reads)
    rows = await rig.registry.rows()
    assert [row.content.risk for row in rows] == [RiskLimits(rev=2, spread_bp_limit=2.0)] * 2


async def test_what_the_store_refuses_for_good_is_recorded_and_the_rest_written(rig: Rig) -> None:
    rig.source.specs = list(perp_specs(3))
    refused = rig.source.specs[1].instrument
    rig.registry.refused = {refused}

    result = await rig.syncs.sync(Venue.PERP)

    assert (result.added, result.refused) == (2, 1)
    assert ("instruments.change_refused", str(refused)) in [
        (kind, detail.get("instrument")) for kind, detail in rig.events
    ]


async def test_a_refused_change_becomes_a_dead_letter_that_a_replay_applies(rig: Rig) -> None:
    """The payload is the whole change; a later refusal of the same content has the same key."""
    rig.source.specs = list(perp_specs(3))
    spec = rig.source.specs[1]
    rig.registry.refused = {spec.instrument}
    await rig.syncs.sync(Venue.PERP)
    await rig.clock.advance(60_000)
    await rig.syncs.sync(Venue.PERP)
    letters: list[tuple[LetterPort, str, str, bytes, int]] = []
    for refused in rig.refused:
        keep_change(lambda *letter: letters.append(letter), refused)
    (port, key, reason, payload, attempts), again = letters
    assert (port, reason, attempts) == (LetterPort.INSTRUMENT_REGISTRY, "refused by this test", 1)
    assert again[:3] == (port, key, reason)

    with pytest.raises(ReplayFailedError, match="refused by this test"):
        await replay_change(rig.registry, rig.wake, payload.decode())
    rig.registry.refused = set()
    woken = rig.woken
    done = await replay_change(rig.registry, rig.wake, payload.decode())
    row = await rig.registry.find(spec.instrument)
    repeated = await replay_change(rig.registry, rig.wake, payload.decode())

    assert row is not None
    assert row.content.spec == spec
    assert done == repeated == f"{spec.instrument} is in the registry with version 1"
    assert rig.woken == woken + 2


@pytest.mark.parametrize("payload", ["", "[]", '{"row": 1}', "{"])
async def test_a_payload_that_is_no_change_is_not_replayed(rig: Rig, payload: str) -> None:
    with pytest.raises(InvalidValueError):
        await replay_change(rig.registry, rig.wake, payload)


async def test_unusable_rows_and_unknown_values_are_counted_and_said(rig: Rig) -> None:
    rig.source.specs = [structs.replace(BTC_PERP, status="NEW_STATUS")]
    rig.source.unusable = {Venue.PERP: (UnusableListing("BADUSDT", "no status"),)}

    result = await rig.syncs.sync(Venue.PERP)

    assert result.sentence.endswith("1 not readable")
    assert rig.events == [
        (
            "instruments.value_unknown",
            {"field": "status", "value": "NEW_STATUS", "example": "perp/BTCUSDT"},
        )
    ]


async def test_two_instances_that_sync_at_once_write_each_change_once() -> None:
    registry = FakeInstrumentRegistry()
    rigs = [Rig(registry), Rig(registry)]
    async with anyio.create_task_group() as tasks:
        for rig in rigs:
            tasks.start_soon(rig.syncs.sync, Venue.PERP)

    assert len(await registry.changes()) == 1


async def test_limits_that_change_during_a_sync_reach_its_rows(rig: Rig) -> None:
    """The sync has read revision 1; revision 2 is written when the sync has ended."""
    is_reading, may_go_on = anyio.Event(), anyio.Event()

    class SlowSource(MemoryInstrumentSource):
        async def funding_intervals(self) -> Mapping[Symbol, int | None]:
            is_reading.set()
            await may_go_on.wait()
            return {}

    rig.use(SlowSource([BTC_PERP]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.sync.sync, Venue.PERP)
        await is_reading.wait()
        rig.limits.rev = 2
        tasks.start_soon(rig.sync.apply_limits)
        await settle()
        may_go_on.set()

    row = await rig.registry.find(BTC_PERP.instrument)
    assert row is not None
    assert row.content.risk == RiskLimits(rev=2, spread_bp_limit=2.0)


async def test_what_a_failed_write_leaves_out_is_reported_by_the_next_read(rig: Rig) -> None:
    rig.source.specs = list(perp_specs(40))
    await rig.syncs.sync(Venue.PERP)
    new = perp_spec("NEWUSDT", "HIBERNATING")
    rig.source.specs = [*perp_specs(20), new]
    rig.registry.fails_after = 0
    with pytest.raises(StoreUnavailableError):
        await rig.syncs.sync(Venue.PERP)
    assert await rig.registry.find(new.instrument) is None  # the fault fired

    await rig.syncs.sync(Venue.PERP)

    assert [kind for kind, _ in rig.events] == ["instruments.value_unknown", "instruments.held"]


async def test_what_an_operator_accepts_stays_held_until_it_is_written(rig: Rig) -> None:
    rig.source.specs = list(perp_specs(40))
    await rig.syncs.sync(Venue.PERP)
    rig.source.specs = list(perp_specs(20))
    await rig.syncs.sync(Venue.PERP)
    held = await rig.registry.held(Venue.PERP)
    rig.registry.fails_after = 0

    with pytest.raises(StoreUnavailableError):
        await rig.syncs.sync(Venue.PERP, accept=True)

    assert len(held[0].instruments) == 20
    assert await rig.registry.held(Venue.PERP) == held
