"""Watching liveness while the status store is unavailable, refuses or is slow."""

from collections.abc import Sequence

import pytest

from chimera_s1.app.capabilities.market import watch_liveness
from chimera_s1.app.capabilities.market.watch_liveness import CHECK_INTERVAL_MS
from chimera_s1.app.capabilities.operations.outbox import RETRY_WAIT_MS
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    PublisherUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.interruptions import LAST_FRAMES_MS
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from tests.unit.app.capabilities.market.liveness_rig import KEYS, watching


async def test_unavailable_store_loses_and_doubles_no_status() -> None:
    """What was found meanwhile is written in order once it is back."""
    async with watching() as rig:
        rig.status.unavailable = True
        rig.lost()
        await rig.clock.advance(CHECK_INTERVAL_MS)
        await rig.clock.advance(30_000)
        rig.opened()
        rig.deliver(*KEYS)
        await rig.clock.advance(CHECK_INTERVAL_MS)
        assert len(rig.changes) == 2
        rig.status.unavailable = False
        await rig.clock.advance(RETRY_WAIT_MS)

        assert rig.states == [
            ("BTCUSDT", Liveness.LIVE),
            ("ETHUSDT", Liveness.LIVE),
            ("BTCUSDT", Liveness.BLIND),
            ("ETHUSDT", Liveness.BLIND),
            ("*", Liveness.GAP),
            ("*", Liveness.RESUMED),
            ("BTCUSDT", Liveness.LIVE),
            ("ETHUSDT", Liveness.LIVE),
        ]
        assert rig.watch.outbox.written == 9
        assert rig.watch.outbox.dropped == 0


async def test_refusing_store_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password that was changed is mended without a restart."""
    refusals: list[ChimeraError] = [
        ConfigurationError("Redis refuses the credentials"),
        PublisherUnavailableError("gone"),
    ]
    async with watching() as rig:
        accept = rig.status.append

        async def refuse(venue: Venue, changes: Sequence[StatusChange]) -> None:
            if refusals:
                raise refusals.pop()
            await accept(venue, changes)

        monkeypatch.setattr(rig.status, "append", refuse)
        rig.lost()
        await rig.clock.advance(CHECK_INTERVAL_MS)
        await rig.clock.advance(2 * RETRY_WAIT_MS)

        assert not refusals
        assert rig.states[2:4] == [("BTCUSDT", Liveness.BLIND), ("ETHUSDT", Liveness.BLIND)]


async def test_pending_statuses_are_bounded_and_dropped_ones_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest go, the newest stay."""
    monkeypatch.setattr(watch_liveness, "OUTBOX_MAX", 3)
    async with watching() as rig:
        rig.status.unavailable = True
        for _ in range(3):
            rig.lost()
            await rig.clock.advance(LAST_FRAMES_MS + CHECK_INTERVAL_MS)
            rig.opened()
            rig.deliver(*KEYS)
            await rig.clock.advance(CHECK_INTERVAL_MS)
        rig.status.unavailable = False
        await rig.clock.advance(RETRY_WAIT_MS)

        assert rig.states[2:] == [
            ("*", Liveness.RESUMED),
            ("BTCUSDT", Liveness.LIVE),
            ("ETHUSDT", Liveness.LIVE),
        ]
        assert rig.watch.outbox.dropped == 3 * 6 - 3
