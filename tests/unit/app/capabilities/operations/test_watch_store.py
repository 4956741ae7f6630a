"""The watched store: what `/health` and the metrics say of it."""

import logging

import anyio
import pytest

from chimera_s1.app.capabilities.operations.metrics import store_source
from chimera_s1.app.capabilities.operations.watch_store import CHECK_INTERVAL_MS, WatchStore
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    LedgerDamagedError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.store_report import STORE_GRACE_MS
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.store_probe import FakeStoreProbe


@pytest.fixture
def probe() -> FakeStoreProbe:
    return FakeStoreProbe()


def metrics(watch: WatchStore) -> dict[str, float]:
    return {sample.name: sample.value for sample in store_source(watch)()}


async def test_before_the_first_check_it_is_not_known(probe: FakeStoreProbe) -> None:
    watch = WatchStore(probe, ManualClock())

    assert watch.report().level is Level.YELLOW
    assert watch.report().sentence == "the store of this test is being asked"
    assert metrics(watch) == {"s1_store_up": 0, "s1_store_check_failures_total": 0}


@pytest.mark.parametrize(
    ("error", "grace_ms"),
    [
        (StoreUnavailableError("ArangoDB at x replied 503/1496 (not a leader)"), STORE_GRACE_MS),
        (ConfigurationError("s1.sqlite3 is in use by process 7"), 0),
        (LedgerDamagedError("s1.sqlite3: malformed"), 0),
    ],
)
async def test_the_stores_own_words_are_shown_until_it_works(
    probe: FakeStoreProbe,
    error: ChimeraError,
    grace_ms: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Logged once when it fails and once when it works again."""
    watch = WatchStore(probe, ManualClock())
    probe.error = error
    with caplog.at_level(logging.INFO):
        await watch.check()
        await watch.check()
        failed = watch.report()
        counted = metrics(watch)
        probe.error = None
        await watch.check()

    assert (failed.level, failed.grace_ms) == (Level.ORANGE, grace_ms)
    assert str(error) in failed.sentence
    assert "quotes are published" in failed.sentence
    assert counted == {"s1_store_up": 0, "s1_store_check_failures_total": 2}
    assert (watch.report().level, watch.report().sentence) == (
        Level.GREEN,
        "the store of this test works",
    )
    assert metrics(watch)["s1_store_up"] == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_it_is_asked_every_five_seconds(probe: FakeStoreProbe) -> None:
    clock = ManualClock()
    watch = WatchStore(probe, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        await settle()
        assert watch.report().level is Level.GREEN
        probe.error = StoreUnavailableError("away")
        await clock.advance(CHECK_INTERVAL_MS - 1)
        assert watch.failures == 0
        await clock.advance(1)
        assert watch.failures == 1
        group.cancel_scope.cancel()
