"""Response bodies of `/health` and `/ready`."""

from collections.abc import Iterable
from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.operations.report_health import HealthSnapshot
from chimera_s1.app.capabilities.operations.run_jobs import ListedJob
from chimera_s1.app.capabilities.operations.web.job_schemas import JobView
from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.operations.health import HealthComponent
from chimera_s1.domain.operations.trading_mode import TradingMode

_LevelName = Annotated[
    str,
    Meta(
        description="From good to bad: GREEN, YELLOW, ORANGE, RED.",
        pattern="^(GREEN|YELLOW|ORANGE|RED)$",
        examples=["GREEN"],
    ),
]


class ComponentView(Struct, frozen=True):
    """Level and state of one component."""

    name: Annotated[str, Meta(description="Name of the component.", examples=["feed.spot"])]
    level: _LevelName
    since: Annotated[
        int,
        Meta(description="When the level last changed, local epoch ms.", examples=[1772514460893]),
    ]
    detail: Annotated[
        str,
        Meta(
            description="The state, and what to do about a problem.",
            examples=["300 instruments on 1 connection"],
        ),
    ]

    @classmethod
    def of(cls, component: HealthComponent) -> Self:
        return cls(component.name, component.level.name, component.since, component.detail)


class HealthView(Struct, frozen=True):
    """The whole service; `status` is the worst level of its components."""

    status: _LevelName
    mode: Annotated[TradingMode, Meta(description="Trading mode.", examples=["NORMAL"])]
    shard: Annotated[
        str, Meta(description="Shard of the instruments: index/count.", examples=["0/1"])
    ]
    version: Annotated[str, Meta(description="Version of the service.", examples=["0.1.0"])]
    uptime_s: Annotated[int, Meta(description="Whole seconds since the start.", examples=[3600])]
    components: tuple[ComponentView, ...]
    jobs: tuple[JobView, ...]

    @classmethod
    def of(cls, snapshot: HealthSnapshot, jobs: Iterable[ListedJob]) -> Self:
        return cls(
            status=snapshot.status.name,
            mode=snapshot.mode,
            shard=snapshot.shard,
            version=snapshot.version,
            uptime_s=snapshot.uptime_s,
            components=tuple(ComponentView.of(each) for each in snapshot.components),
            jobs=tuple(map(JobView.of, jobs)),
        )


class ReadyView(Struct, frozen=True):
    """The service is ready; `components` are RED but not required."""

    status: _LevelName
    components: tuple[ComponentView, ...]


class NotReadyView(ProblemView, frozen=True):
    """The problem of `/ready`, with the components that are RED or have not worked yet."""

    components: tuple[ComponentView, ...]
