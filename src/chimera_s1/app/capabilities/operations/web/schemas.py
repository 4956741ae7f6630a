"""Health as the HTTP API shows it."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.operations.report_health import HealthSnapshot
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
    """One component: its level, since when, and what is so."""

    name: Annotated[str, Meta(description="Which part of the service.", examples=["feed.spot"])]
    level: _LevelName
    since: Annotated[
        int, Meta(description="When it became so, local epoch ms.", examples=[1772514460893])
    ]
    detail: Annotated[
        str,
        Meta(
            description="What is so, and what to do about it.",
            examples=["300 instruments on 1 connection"],
        ),
    ]

    @classmethod
    def of(cls, component: HealthComponent) -> Self:
        """*component* as it is shown."""
        return cls(component.name, component.level.name, component.since, component.detail)


class HealthView(Struct, frozen=True):
    """The whole service; `status` is the worst level of its components."""

    status: _LevelName
    mode: Annotated[
        TradingMode, Meta(description="What it may still do with money.", examples=["NORMAL"])
    ]
    shard: Annotated[
        str, Meta(description="Which share of the instruments: index/count.", examples=["0/1"])
    ]
    version: Annotated[str, Meta(description="Of the service.", examples=["0.1.0"])]
    uptime_s: Annotated[int, Meta(description="Whole seconds since the start.", examples=[3600])]
    components: tuple[ComponentView, ...]

    @classmethod
    def of(cls, snapshot: HealthSnapshot) -> Self:
        """*snapshot* as it is shown."""
        return cls(
            status=snapshot.status.name,
            mode=snapshot.mode,
            shard=snapshot.shard,
            version=snapshot.version,
            uptime_s=snapshot.uptime_s,
            components=tuple(ComponentView.of(each) for each in snapshot.components),
        )


class ReadyView(Struct, frozen=True):
    """The service does its work; `components` are those that are RED without being required."""

    status: _LevelName
    components: tuple[ComponentView, ...]


class NotReadyView(ProblemView, frozen=True):
    """The problem that `/ready` answers, with the components that are RED."""

    components: tuple[ComponentView, ...]
