"""The registry's health where several instances share it."""

from msgspec import structs

from chimera_s1.app.capabilities.instruments.report_instruments import ReportInstruments
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.listing_read import UnusableListing
from chimera_s1.domain.operations.health import Level
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.sample_instruments import perp_specs
from tests.unit.app.capabilities.instruments import test_follow_registry as following
from tests.unit.app.capabilities.instruments import test_relay_changes as relaying
from tests.unit.app.capabilities.instruments import test_sync_instruments as syncing

HOUR_MS = 3_600_000


class Instance:
    """One of several that share *registry*: it syncs and follows, and reports."""

    def __init__(self, registry: FakeInstrumentRegistry) -> None:
        self.syncing = syncing.Rig(registry)
        self.syncing.source.specs = list(perp_specs(40))
        following_rig = following.Rig()
        following_rig.registry = registry
        self.follow = following_rig.follower(self.syncing.clock)
        self.catalog = following_rig.catalog
        self._report = ReportInstruments(
            self.catalog,
            self.syncing.sync,
            self.follow,
            relaying.Rig().relay(),
            venues=(Venue.PERP,),
            clock=self.syncing.clock,
            has_key=True,
        )

    async def sync(self) -> None:
        await self.syncing.syncs.sync(Venue.PERP)

    async def report(self) -> tuple[Level, str]:
        following_rig = following.Rig()
        following_rig.follow = self.follow
        async with following_rig.running():
            report = self._report.report()
        return report.level, report.sentence


async def test_what_one_instance_holds_is_said_by_all_and_forgotten_by_all() -> None:
    registry = FakeInstrumentRegistry()
    one, other = Instance(registry), Instance(registry)
    await one.sync()
    for each in (one, other):
        each.syncing.source.specs = [
            structs.replace(spec, status="SETTLING") for spec in perp_specs(40)
        ]
        await each.syncing.clock.advance(1_000)
    for each in (one, other):
        await each.sync()
    for each in (one, other):
        level, sentence = await each.report()
        assert level is Level.ORANGE
        assert "; 40 rows in quarantine: " in sentence

    await other.syncing.clock.advance(HOUR_MS)
    await other.sync()

    for each in (one, other):
        level, sentence = await each.report()
        assert (level, "quarantine" in sentence) == (Level.GREEN, False)


async def test_rows_that_could_not_be_read_are_said_until_another_instance_reads_them() -> None:
    registry = FakeInstrumentRegistry()
    one, other = Instance(registry), Instance(registry)
    one.syncing.source.unusable = {Venue.PERP: (UnusableListing("BADUSDT", "no status"),)}
    await one.sync()
    level, sentence = await one.report()
    assert level is Level.YELLOW
    assert sentence.endswith("; 1 row cannot be decoded")

    for each in (one, other):
        await each.syncing.clock.advance(HOUR_MS)
    await other.sync()

    assert (await one.report())[0] is Level.GREEN
