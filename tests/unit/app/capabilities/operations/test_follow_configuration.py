from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.app.capabilities.operations.configuration_metrics import configuration_source
from chimera_s1.app.capabilities.operations.follow_configuration import FollowConfiguration
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.operations.active_configuration import RiskLimits
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.configuration import (
    MemoryConfigurationSource,
    MemoryKeptConfiguration,
    MemoryRevisionAnnouncements,
    document,
)
from tests.virtual_time import LoopClock, on_virtual_time

BTC = InstrumentId.parse("perp/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
POLL_S = 10.0


class Rig:
    """A `FollowConfiguration` over fakes."""

    def __init__(
        self, kept: MemoryKeptConfiguration | None = None, *, selects: bool = False
    ) -> None:
        self.clock = LoopClock()
        self.source = MemoryConfigurationSource()
        self.announcements = MemoryRevisionAnnouncements()
        self.kept = kept or MemoryKeptConfiguration()
        self.events: list[tuple[str, EventDetail]] = []
        self.follow = FollowConfiguration(
            self.source,
            self.announcements,
            self.kept,
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
            poll_ms=round(POLL_S * 1000),
            draw=lambda: 0.0,
            selects=selects,
        )

    @property
    def rev(self) -> int | None:
        snapshot = self.follow.snapshot
        return None if snapshot is None else snapshot.rev

    def level(self) -> Level:
        return self.follow.report().level

    def sentence(self) -> str:
        return self.follow.report().sentence

    async def passes(self, seconds: float) -> None:
        """Virtual time passes."""
        await self.clock.sleep_ms(seconds * 1000)

    def metrics(self) -> dict[str, float]:
        return {
            sample.name + "".join(value for _, value in sample.labels): sample.value
            for sample in configuration_source(self.follow)()
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Restored, and running until the end of the block; the first request is answered."""
        await self.follow.restore()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.follow.run)
            await self.passes(0.1)
            yield
            tasks.cancel_scope.cancel()


@on_virtual_time
async def test_a_snapshot_is_in_force_with_its_thresholds() -> None:
    rig = Rig()
    assert rig.follow.limits(BTC) is None
    rig.source.served = document(12, "perp/BTCUSDT")
    async with rig.running():
        assert rig.follow.limits(BTC) == RiskLimits(
            rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20000.0
        )
        assert rig.follow.limits(ETH) == RiskLimits(
            rev=12, spread_bp_limit=10.0, depth_top1_usdt_min=5000.0
        )
        assert rig.level() is Level.GREEN
        assert rig.sentence().startswith("rev 12 (1 instrument) in force for 0 s, confirmed")
        assert rig.events == [
            (
                "config.applied",
                {"rev": 12, "previous_rev": None, "instruments": 1, "unknown_fields": ""},
            )
        ]


@on_virtual_time
async def test_an_announced_revision_is_in_force_at_once() -> None:
    rig = Rig()
    rig.source.served = document(12, "perp/BTCUSDT")
    async with rig.running():
        rig.source.served = document(13, "perp/BTCUSDT", spread=7)
        rig.announcements.announce(13)
        await rig.passes(0.1)  # without it, S10 is asked again after 10 s
        assert rig.follow.limits(BTC) == RiskLimits(
            rev=13, spread_bp_limit=7.0, depth_top1_usdt_min=20000.0
        )


@on_virtual_time
async def test_a_revision_in_the_key_is_found_without_an_entry_in_the_stream() -> None:
    rig = Rig()
    rig.source.served = document(12)
    async with rig.running():
        rig.source.served = document(13)
        rig.announcements.rev = 13
        await rig.passes(1.5)
        assert rig.rev == 13


@on_virtual_time
async def test_a_revision_is_found_without_any_announcement() -> None:
    rig = Rig()
    rig.source.served = document(12)
    rig.announcements.available = False
    async with rig.running():
        assert rig.level() is Level.YELLOW
        assert "Redis 10.0.0.5:6379: timed out; S10 is asked regularly" in rig.sentence()
        rig.source.served = document(13)
        await rig.passes(POLL_S + 1)
        assert rig.rev == 13

        rig.announcements.available = True
        rig.announcements.rev = 13
        await rig.passes(2)
        assert rig.level() is Level.GREEN


@pytest.mark.parametrize(
    ("served", "reason", "words"),
    [
        (document(13, "perp/BTCUSDT", spread=-5), "invalid", "spread_bp_limit is -5"),
        (b"<html>", "invalid", "the body is not JSON"),
        (document(11, "perp/BTCUSDT"), "older", "rev 11 is older than rev 12"),
        (document(12, "perp/BTCUSDT", spread=9), "altered", "has changed its content"),
    ],
)
def test_a_bad_snapshot_leaves_the_old_one_in_force(
    served: dict[str, object] | bytes, reason: str, words: str
) -> None:
    @on_virtual_time
    async def run() -> None:
        rig = Rig()
        rig.source.served = document(12, "perp/BTCUSDT")
        async with rig.running():
            rig.source.served = served
            rig.announcements.add_entry()
            await rig.passes(20 * POLL_S)
            assert rig.follow.limits(BTC) == RiskLimits(
                rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20000.0
            )
            assert rig.level() is Level.ORANGE
            assert words in rig.sentence()
            assert [kind for kind, _ in rig.events] == ["config.applied", "config.refused"]
            _, refused = rig.events[-1]
            assert (refused["reason"], refused["rev_in_force"]) == (reason, 12)
            assert words in str(refused["detail"])
            assert rig.metrics()[f"s1_config_refused_total{reason}"] == 1

            rig.source.served = document(14)
            await rig.passes(POLL_S + 1)
            assert rig.level() is Level.GREEN
            assert (rig.rev, rig.kept.snapshot) == (14, rig.follow.snapshot)

    run()


@on_virtual_time
async def test_a_dead_s10_leaves_the_snapshot_in_force_with_its_own_words() -> None:
    rig = Rig()
    rig.source.served = document(12, "perp/BTCUSDT")
    async with rig.running():
        rig.source.served = "replied 503: maintenance until 12:00"
        await rig.passes(100 * POLL_S)
        assert rig.follow.limits(BTC) == RiskLimits(
            rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20000.0
        )
        assert rig.level() is Level.ORANGE
        assert "replied 503: maintenance until 12:00" in rig.sentence()
        assert rig.metrics()["s1_config_failed_requests_total"] >= 90
        assert len(rig.events) == 1


@on_virtual_time
async def test_a_flapping_s10_changes_nothing_and_floods_nothing() -> None:
    rig = Rig()
    rig.source.served = document(12)
    async with rig.running():
        for _ in range(50):
            rig.source.served = "connection refused"
            await rig.passes(POLL_S)
            rig.source.served = document(12)
            await rig.passes(POLL_S)
        assert rig.rev == 12
        assert [kind for kind, _ in rig.events] == ["config.applied"]
        assert rig.level() is Level.GREEN


@on_virtual_time
async def test_a_slow_s10_delays_only_itself() -> None:
    rig = Rig()
    rig.source.served = document(12, "perp/BTCUSDT")
    async with rig.running():
        rig.source.delay_s = 4.0
        rig.source.served = document(13, "perp/BTCUSDT")
        rig.announcements.announce(13)
        await rig.passes(2)
        assert rig.follow.limits(BTC) == RiskLimits(
            rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20000.0
        )
        assert rig.level() is Level.ORANGE
        assert "cfg:active_rev says 13, which S10 does not serve yet" in rig.sentence()
        await rig.passes(5)
        assert (rig.rev, rig.level()) == (13, Level.GREEN)


@on_virtual_time
async def test_what_is_announced_during_a_request_is_read_by_another() -> None:
    rig = Rig()
    rig.source.served = document(12)
    async with rig.running():
        rig.source.delay_s = 1.0
        rig.announcements.add_entry()
        await rig.passes(0.5)
        before = rig.source.requests
        rig.announcements.add_entry()
        await rig.passes(2)
        assert rig.source.requests == before + 1


@on_virtual_time
async def test_a_restart_with_a_dead_s10_has_the_thresholds() -> None:
    first = Rig()
    first.source.served = document(12, "perp/BTCUSDT")
    async with first.running():
        pass

    second = Rig(first.kept)
    async with second.running():
        assert second.follow.limits(BTC) == RiskLimits(
            rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20000.0
        )
        assert second.level() is Level.ORANGE
        assert "kept from an earlier run" in second.sentence()
        assert "connection refused" in second.sentence()


@on_virtual_time
async def test_an_older_rev_is_refused_after_a_restart_too() -> None:
    first = Rig()
    first.source.served = document(12)
    async with first.running():
        pass

    second = Rig(first.kept)
    second.source.served = document(11)
    async with second.running():
        assert second.rev == 12
        assert second.level() is Level.ORANGE


@on_virtual_time
async def test_a_snapshot_that_cannot_be_saved_is_in_force_and_saved_later() -> None:
    rig = Rig()
    rig.kept.broken = "s10-active.json: No space left on device"
    rig.source.served = document(12)
    async with rig.running():
        assert (rig.rev, rig.level()) == (12, Level.YELLOW)
        assert "No space left on device" in rig.sentence()

        rig.kept.broken = ""
        await rig.passes(POLL_S + 1)
        assert (rig.kept.snapshot, rig.level()) == (rig.follow.snapshot, Level.GREEN)


@on_virtual_time
async def test_a_damaged_file_stops_nothing() -> None:
    kept = MemoryKeptConfiguration()
    kept.broken = "s10-active.json is damaged"
    rig = Rig(kept)
    rig.source.served = document(12)
    async with rig.running():
        assert rig.rev == 12


@on_virtual_time
async def test_unknown_fields_are_counted_once_a_revision() -> None:
    rig = Rig()
    rig.source.served = {**document(12), "author": "me", "note": ""}
    async with rig.running():
        await rig.passes(5 * POLL_S)
        assert rig.metrics()["s1_config_unknown_fields_total"] == 2
        assert rig.events[0][1]["unknown_fields"] == "author, note"


@on_virtual_time
async def test_a_kept_snapshot_without_symbols_is_not_used_where_s10_selects_them() -> None:
    first = Rig()
    first.source.served = document(12)
    async with first.running():
        pass

    second = Rig(first.kept, selects=True)
    async with second.running():
        assert second.rev is None


@on_virtual_time
async def test_a_new_snapshot_is_swapped_as_a_whole() -> None:
    """A reader sees the old thresholds of all instruments, or the new ones of all."""
    rig = Rig()
    names = [f"perp/S{index}USDT" for index in range(50)]
    rig.source.served = document(1, *names)
    seen: set[frozenset[int]] = set()
    async with rig.running():
        for rev in range(2, 30):
            rig.source.served = msgspec.json.encode(document(rev, *names))
            rig.announcements.announce(rev)
            for _ in range(20):
                limits = [rig.follow.limits(InstrumentId.parse(name)) for name in names]
                seen.add(frozenset(each.rev for each in limits if each))
                await checkpoint()
            await rig.passes(0.1)
    assert {len(revs) for revs in seen} == {1}
    assert len(seen) > 20
