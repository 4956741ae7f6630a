"""The capability of docs/how-to/add-a-capability.md, built as the page says."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import anyio
import httpx2
from dependency_injector import providers
from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import Capability, Job
from chimera_s1.app.container import Container
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.runtime import open_capabilities
from chimera_s1.app.service_settings import Settings, read_settings
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.settings.fields import number_setting
from chimera_s1.app.settings.types import WholeNumber
from chimera_s1.app.web.connections import Connections
from chimera_s1.app.web.problem_kinds import ProblemKind
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.health import HealthSource, Level
from chimera_s1.domain.operations.metrics import counter
from chimera_s1.domain.operations.schedule import Every
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S
from tests.treasury_harness import untyped

PAGE = Path(__file__).parents[3] / "docs/how-to/add-a-capability.md"


# domain/heartbeat/health.py
class HeartbeatReport(Struct, frozen=True):
    """How often it has beaten."""

    beats: int

    @property
    def level(self) -> Level:
        return Level.GREEN if self.beats else Level.YELLOW

    @property
    def grace_ms(self) -> float:
        return 0  # YELLOW does not wait

    @property
    def sentence(self) -> str:
        return f"{self.beats} beats" if self.beats else "no beat yet: it comes within a second"


# app/capabilities/heartbeat/settings.py
class HeartbeatSettings(CoreSettings):
    """How often the heart beats."""

    heartbeat_ms: WholeNumber = number_setting(
        "Heartbeat", 1_000, (1_000, 60_000), "ms between two beats"
    )


# app/capabilities/heartbeat/beat.py
class NoBeatError(ChimeraError):
    """It has not beaten since the start."""

    code = "heartbeat.none"


class Beat:
    """Counts beats."""

    def __init__(self) -> None:
        self.beats = 0

    async def beat(self) -> str:
        """Beat once; the result is shown by `chimera-s1 jobs list`."""
        self.beats += 1
        return f"beat {self.beats}"

    def report(self) -> HeartbeatReport:
        return HeartbeatReport(self.beats)


# app/capabilities/heartbeat/web/part.py
NO_BEAT = ProblemKind(NoBeatError.code, HTTPStatus.NOT_FOUND, "It has not beaten yet")


@get("/xchg/heartbeat", opt={"scope": Scope.READ}, sync_to_thread=False)
def read_heartbeat(beat: NamedDependency[Beat]) -> int:
    """How often it has beaten."""
    if not beat.beats:
        raise NoBeatError("no beat since the start; ask again in a second")
    return beat.beats


def heartbeat_part(beat: Beat) -> WebPart:
    return WebPart(
        routes=(read_heartbeat,),
        dependencies={"beat": beat},
        kind_by_error={NoBeatError: NO_BEAT},
    )


# app/capabilities/heartbeat/wiring.py
@asynccontextmanager
async def open_heartbeat(
    settings: HeartbeatSettings, base: Foundation, operations: Operations
) -> AsyncIterator[Capability]:
    """A heart that beats; what it opens is closed after the yield."""
    beat = Beat()
    schedule = Every(settings.heartbeat_ms)
    operations.outbox.record("heartbeat.opened", {"at": base.clock.now_ms()})
    yield Capability(
        name="heartbeat",
        jobs=(Job(name="heartbeat", schedule=schedule, run=beat.beat, at_start=True),),
        health=(HealthSource("heartbeat", beat.report, required=False),),
        metrics=(lambda: [counter("s1_heartbeats_total", "Beats.", beat.beats)],),
        web=heartbeat_part(beat),
    )


# app/service_settings.py
class SettingsWithHeartbeat(HeartbeatSettings, Settings):
    """One more base class."""


# app/container.py
class ContainerWithHeartbeat(Container):
    """One more line in `openings`."""

    openings = providers.List(
        *Container.openings.args,
        providers.Factory(
            open_heartbeat, Container.settings, Container.foundation, Container.operations
        ),
    )


@asynccontextmanager
async def unconnected() -> AsyncIterator[ClusterClient]:
    yield ClusterClient([RedisAddress("127.0.0.1", 9)])


@asynccontextmanager
async def opened(
    directory: Path, clock: ManualClock
) -> AsyncIterator[tuple[Container, tuple[Capability, ...]]]:
    environ = {"S1_STATE_DIR": str(directory), "S1_HEARTBEAT_MS": "5000"}
    container = ContainerWithHeartbeat(
        settings=read_settings(environ, SettingsWithHeartbeat),
        connect_redis=unconnected,
        pulse_watchdog=lambda: None,
        connections=Connections(),
    )
    container.clock.override(clock)
    async with AsyncExitStack() as stack:
        yield container, await open_capabilities(container, stack)


async def beaten(clock: ManualClock, container: Container, times: int) -> None:
    """Return after *times* runs that are stored."""
    while not any(each.state.sentence == f"beat {times}" for each in container.jobs().listed()):
        await clock.wait_for_sleeper()
        await clock.advance(1_000)


async def test_everything_it_contributes_is_in_the_service(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock) as (container, _):
        web = httpx2.ASGITransport(untyped(container.web()))
        async with httpx2.AsyncClient(transport=web, base_url="http://s1") as client:
            before = await client.get("/xchg/heartbeat")
            with anyio.fail_after(TIMEOUT_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(container.jobs().run)
                    await beaten(clock, container, times=2)
                    tasks.cancel_scope.cancel()
            after = await client.get("/xchg/heartbeat")
            health = (await client.get("/health")).json()
            metrics = (await client.get("/metrics")).text
            schema = (await client.get("/schema")).text

    assert (before.status_code, before.json()["code"]) == (404, "heartbeat.none")
    assert after.json() == 2
    [job] = [each for each in health["jobs"] if each["name"] == "heartbeat"]
    assert (job["result"], job["detail"], job["schedule"]) == ("ok", "beat 2", "every 5 s")
    line = next(each for each in health["components"] if each["name"] == "heartbeat")
    assert (line["level"], line["detail"]) == ("GREEN", "2 beats")
    assert "s1_heartbeats_total 2.0" in metrics
    assert 'id="heartbeat.none"' in schema


def test_the_page_shows_this_code() -> None:
    """Every block of Python on the page is in this file, word for word."""
    source = Path(__file__).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    assert blocks
    assert [block for block in blocks if block.strip() not in source] == []
