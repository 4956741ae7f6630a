"""The start and the end of the process are announced; the heartbeat shows that it lives."""

import anyio
import pytest

from chimera_s1.app.capabilities.operations.announce_service import (
    BEAT_INTERVAL_MS,
    AnnounceService,
)
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.heartbeat import MemoryHeartbeat
from tests.fakes.manual_clock import ManualClock, settle


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.heartbeat = MemoryHeartbeat()
        self.events: list[tuple[str, EventDetail]] = []
        self.identity = HeartbeatRecord(
            instance="host-7",
            ts=0,
            started_at=self.clock.now_ms(),
            version="1",
            environment="live",
            venues="spot",
            shard="0/1",
        )
        self.announce = AnnounceService(
            self.heartbeat, self.identity, lambda *event: self.events.append(event), self.clock
        )

    def shown_at(self) -> int:
        return self.heartbeat.shown["host-7"].ts


async def test_the_start_is_announced_once_and_each_beat_has_its_time() -> None:
    rig = Rig()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.announce.run)
        await settle()
        first_ms = rig.shown_at()
        await rig.clock.advance(2 * BEAT_INTERVAL_MS)

        assert rig.shown_at() == first_ms + 2 * BEAT_INTERVAL_MS
        assert [kind for kind, _ in rig.events] == ["service.started"]
        assert rig.events[0][1]["instance"] == "host-7"
        tasks.cancel_scope.cancel()


async def test_beats_continue_after_an_outage_of_redis() -> None:
    rig = Rig()
    rig.heartbeat.available = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.announce.run)
        await settle()
        assert not rig.heartbeat.shown

        rig.heartbeat.available = True
        await rig.clock.advance(BEAT_INTERVAL_MS)

        assert rig.shown_at() == rig.clock.now_ms()
        tasks.cancel_scope.cancel()


async def test_the_end_is_announced_with_its_reason_and_removes_the_heartbeat() -> None:
    rig = Rig()
    await rig.heartbeat.beat(rig.identity)

    await rig.announce.end("worker http died: it returned")

    assert not rig.heartbeat.shown
    ((kind, detail),) = rig.events
    assert kind == "service.stopped"
    assert detail["reason"] == "worker http died: it returned"


async def test_the_end_is_announced_although_the_heartbeat_cannot_be_removed() -> None:
    rig = Rig()
    rig.heartbeat.available = False

    with pytest.raises(PublisherUnavailableError):
        await rig.announce.end("requested")

    assert [kind for kind, _ in rig.events] == ["service.stopped"]
