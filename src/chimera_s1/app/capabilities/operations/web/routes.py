"""`/health`, `/ready` and `/metrics`: liveness, readiness and counters.

They read memory only, so they answer while every dependency is unavailable.
"""

from collections.abc import Callable
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Tag
from litestar.params import SkipValidation
from msgspec import structs

from chimera_s1.app.capabilities.operations.report_health import ReportHealth
from chimera_s1.app.capabilities.operations.run_jobs import RunJobs
from chimera_s1.app.capabilities.operations.web.problems import NOT_READY
from chimera_s1.app.capabilities.operations.web.schemas import (
    ComponentView,
    HealthView,
    NotReadyView,
    ReadyView,
)
from chimera_s1.app.web.problems import PROBLEM_JSON, AnyRequest, problem_reply, problem_view
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.operations.health import HealthComponent, Level

PROMETHEUS_TEXT = "text/plain; version=0.0.4"

_TAGS = ["operation"]


@get(
    "/health",
    opt={"public": True},
    operation_id="read_health",
    summary="Liveness, the level of every component, and the jobs",
    tags=_TAGS,
    sync_to_thread=False,
)
def read_health(
    report_health: NamedDependency[ReportHealth], run_jobs: NamedDependency[RunJobs]
) -> HealthView:
    """Answers 200 while the process runs, whatever the levels in the body."""
    return HealthView.of(report_health.snapshot(), run_jobs.listed())


@get(
    "/ready",
    opt={"public": True},
    operation_id="read_readiness",
    summary="Readiness: whether every required component works",
    tags=_TAGS,
    responses={
        503: ResponseSpec(
            NotReadyView,
            generate_examples=False,
            description="A required component is RED, or has not worked since the start; the body "
            "says what to do",
            media_type=PROBLEM_JSON,
        )
    },
    sync_to_thread=False,
)
def read_readiness(
    request: AnyRequest, report_health: NamedDependency[ReportHealth]
) -> Response[ReadyView]:
    """200 once every required component has worked and while none is RED, else 503 with the
    components that are not ready.
    """
    snapshot = report_health.snapshot()
    if not snapshot.ready:
        return _not_ready(request, snapshot.components)
    red = (each for each in snapshot.components if each.level is Level.RED)
    components = tuple(map(ComponentView.of, red))
    return Response(ReadyView(status=snapshot.status.name, components=components))


@get(
    "/metrics",
    opt={"public": True},
    operation_id="read_metrics",
    summary="Counters and gauges for Prometheus",
    tags=_TAGS,
    media_type=PROMETHEUS_TEXT,
    sync_to_thread=False,
)
def read_metrics(render_metrics: NamedDependency[SkipValidation[Callable[[], bytes]]]) -> bytes:
    """Prometheus text exposition format 0.0.4."""
    return render_metrics()


def _not_ready(request: AnyRequest, every: tuple[HealthComponent, ...]) -> Response[Any]:
    missing = [each for each in every if not each.ready]
    detail = "; ".join(f"{each.name}: {each.detail}" for each in missing if each.required)
    problem = problem_view(NOT_READY, detail, request)
    components = tuple(map(ComponentView.of, missing))
    return problem_reply(NOT_READY, NotReadyView(**structs.asdict(problem), components=components))


def health_part(report_health: ReportHealth, render_metrics: Callable[[], bytes]) -> WebPart:
    """The routes for the health and metrics of all capabilities."""
    return WebPart(
        routes=(read_health, read_readiness, read_metrics),
        dependencies={"report_health": report_health, "render_metrics": render_metrics},
        other_kinds=(NOT_READY,),
        tags=(
            Tag(
                name="operation",
                description="Liveness, readiness and counters, for orchestrators, Prometheus and "
                "people on call; without a token, and from memory only.",
            ),
        ),
    )
