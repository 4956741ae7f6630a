"""Response bodies about jobs."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.operations.run_jobs import ListedJob
from chimera_s1.domain.operations.schedule import describe_schedule


class JobView(Struct, frozen=True):
    """A job: what it did last, and when it runs next."""

    name: Annotated[str, Meta(description="Name of the job.", examples=["clock.spot"])]
    schedule: Annotated[
        str, Meta(description="When it runs.", examples=["every 30 s", "daily at 00:10 UTC"])
    ]
    runs_on: Annotated[
        str,
        Meta(
            description="`each`: every instance runs it; `one`: one instance of all that share the "
            "store.",
            pattern="^(each|one)$",
            examples=["one"],
        ),
    ]
    owner: Annotated[
        str,
        Meta(
            description="The instance of the last run; empty before the first run.",
            examples=["s1-0-7-5f3a9c01"],
        ),
    ]
    last_run: (
        Annotated[
            int,
            Meta(
                description="When the last run began, local epoch ms; null before the first run.",
                examples=[1772514460893],
            ),
        ]
        | None
    )
    duration_ms: (
        Annotated[
            int,
            Meta(
                description="How long the last run took; null while it runs and before.",
                examples=[412],
            ),
        ]
        | None
    )
    result: (
        Annotated[
            str,
            Meta(
                description="Outcome of the last run: running, ok, failed, timed out (ended by its "
                "time limit) or interrupted (its instance ended); null before the first run.",
                pattern="^(running|ok|failed|timed out|interrupted)$",
                examples=["ok"],
            ),
        ]
        | None
    )
    detail: Annotated[
        str,
        Meta(
            description="What the last run did, why it failed, or what it waits for.",
            examples=["skew 3 ms"],
        ),
    ]
    failures: Annotated[int, Meta(description="Failed runs in a row.", ge=0, examples=[0])]
    next_run: Annotated[
        int,
        Meta(description="When the next run is due, local epoch ms.", examples=[1772514490893]),
    ]

    @classmethod
    def of(cls, listed: ListedJob) -> Self:
        state = listed.state
        return cls(
            name=listed.name,
            schedule=describe_schedule(listed.schedule),
            runs_on="each" if listed.each_instance else "one",
            owner=state.owner,
            last_run=state.started_at or None,
            duration_ms=state.duration_ms,
            result=state.outcome.value if state.outcome is not None else None,
            detail=listed.waiting or state.sentence,
            failures=state.failures,
            next_run=state.next_at,
        )


class JobListView(Struct, frozen=True):
    """All jobs, in the order of their capabilities."""

    jobs: tuple[JobView, ...]
