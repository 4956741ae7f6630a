"""Syncs as jobs: what a notice starts, and when the listing is read again."""

import pytest
from msgspec import structs

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.run_syncs import CATCH_UP_MS, CATCH_UPS, RunSyncs
from chimera_s1.app.capabilities.instruments.sync_instruments import (
    ListingRefusedError,
    SyncInstruments,
)
from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.listing_news import ListingNotice
from chimera_s1.domain.ports.market_feed import ConnectionLost, ConnectionOpened, ConnectionRenewed
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.fakes.instrument_source import MemoryInstrumentSource
from tests.fakes.manual_clock import ManualClock
from tests.sample_instruments import BTC_PERP, BTC_SPOT, perp_spec

NEW = perp_spec("NEWUSDT")
NOTICE = ListingNotice(NEW.instrument, "TRADING")


class Rig:
    """Futures and spot with a registry in memory; `calls` are the reads that changes name."""

    def __init__(self) -> None:
        self.source = MemoryInstrumentSource([BTC_PERP, BTC_SPOT])
        self.registry = FakeInstrumentRegistry()
        self.catalog = InstrumentCatalog()
        sync = SyncInstruments(
            self.source,
            self.registry,
            clock=ManualClock(),
            record=lambda *_: None,
            risk_limits=None,
            wake_readers=lambda: None,
            on_refused=lambda _: None,
        )
        self.syncs = RunSyncs(sync, self.catalog, tuple(Venue))

    async def sources(self) -> list[str]:
        return [each.change.source for each in await self.registry.changes()]


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_notice_is_followed_by_reads_until_the_listing_has_it(rig: Rig) -> None:
    """The listing may come after the notice; then the usual interval holds again."""
    version = rig.syncs.notices.version
    rig.syncs.on_notice(NOTICE)
    assert rig.syncs.notices.version == version + 1

    again = [(await rig.syncs.sync_announced()).again_ms for _ in range(CATCH_UPS - 1)]
    rig.source.specs.append(NEW)
    again += [(await rig.syncs.sync_announced()).again_ms for _ in range(2)]

    assert again == [*[CATCH_UP_MS] * CATCH_UPS, None]
    assert await rig.registry.find(NEW.instrument) is not None
    assert await rig.sources() == ["!contractInfo, fundingInfo"] * 2


async def test_a_new_connection_for_notices_is_followed_by_one_read(rig: Rig) -> None:
    """While there was none, a listing may have been announced; a renewal leaves no gap."""
    version = rig.syncs.notices.version
    rig.syncs.on_feed_event(ConnectionLost("perp-listings", Venue.PERP, (), "closed", 0, 500.0))
    rig.syncs.on_feed_event(ConnectionRenewed("perp-listings", Venue.PERP, "planned"))
    assert rig.syncs.notices.version == version

    rig.syncs.on_feed_event(ConnectionOpened("perp-listings", Venue.PERP, ()))

    assert rig.syncs.notices.version == version + 1
    assert (await rig.syncs.sync_announced()).again_ms is None


async def test_a_read_at_the_usual_interval_names_no_notice(rig: Rig) -> None:
    assert (await rig.syncs.sync_announced()).again_ms is None
    assert await rig.sources() == ["exchangeInfo, fundingInfo"]


async def test_a_read_that_fails_is_none_of_those_after_a_notice(rig: Rig) -> None:
    rig.syncs.on_notice(NOTICE)
    rig.source.error = ExchangeUnavailableError("GET /fapi/v1/exchangeInfo: 503")
    with pytest.raises(ExchangeUnavailableError):
        await rig.syncs.sync_announced()
    assert rig.catalog.problem(Venue.PERP) == "GET /fapi/v1/exchangeInfo: 503"
    rig.source.error = None

    again = [(await rig.syncs.sync_announced()).again_ms for _ in range(CATCH_UPS + 1)]

    assert again == [*[CATCH_UP_MS] * CATCH_UPS, None]
    assert rig.catalog.problem(Venue.PERP) == ""


async def test_without_thresholds_nothing_is_written(rig: Rig) -> None:
    await rig.syncs.sync_venues()

    assert (await rig.syncs.apply_limits()).sentence == "0 instruments have new thresholds"


async def test_one_venue_is_synced_alone(rig: Rig) -> None:
    rig.source.specs[0] = structs.replace(BTC_PERP, status="SETTLING")

    result = await rig.syncs.sync_one(Venue.SPOT, "exchangeInfo")

    assert result.sentence == "spot: 1 listed, 1 new, 0 changed, 0 gone"
    assert [row.instrument.venue for row in await rig.registry.rows()] == [Venue.SPOT]


async def test_a_venue_that_fails_does_not_keep_an_operator_from_the_others(rig: Rig) -> None:
    rig.source.specs = [BTC_PERP]  # the listing of spot is empty

    with pytest.raises(ListingRefusedError, match="the listing of spot has no usable row"):
        await rig.syncs.sync_each(rig.syncs.venues, accept=True)

    assert [row.instrument for row in await rig.registry.rows()] == [BTC_PERP.instrument]


async def test_a_venue_that_is_not_served_is_not_synced(rig: Rig) -> None:
    """No job would keep its rows current."""
    rig.syncs.venues = (Venue.PERP,)

    with pytest.raises(InvalidValueError, match="serves perp; it does not sync spot"):
        await rig.syncs.sync_each([Venue.SPOT])

    assert await rig.registry.rows() == ()
