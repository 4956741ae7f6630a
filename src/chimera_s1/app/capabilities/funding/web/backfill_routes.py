"""`/xchg/funding/backfill`: request a backfill of the funding history, and see how far it is."""

from typing import Annotated, Protocol, Self, runtime_checkable

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from msgspec import Meta, Struct

from chimera_s1.app.capabilities.funding.web.backfill_request import BackfillOperation, read_days
from chimera_s1.app.capabilities.funding.web.problems import NO_BACKFILL, NoBackfillError
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    CONTENT_CODING,
    EXCHANGE_UNAVAILABLE,
    MEDIA_TYPE,
    REQUEST_INVALID,
    STORE_UNAVAILABLE,
)
from chimera_s1.app.web.problems import AnyRequest, problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.funding.backfill import BackfillProgress, BackfillState


@runtime_checkable  # Litestar checks what it injects
class Backfills(Protocol):
    """The backfill of all instances that share the store. Both may raise StoreUnavailableError."""

    async def request_backfill(self, days: int) -> BackfillProgress:
        """Read the last *days*; one that is not done yet and covers them goes on instead.

        Raises:
            ExchangeUnavailableError: The exchange's time is not known.
        """
        ...

    async def backfill_progress(self) -> BackfillProgress | None:
        """Of the last request; None before the first."""
        ...


class BackfillView(Struct, frozen=True, kw_only=True):
    """A backfill of the funding history, and how far it is; the newest days are read first."""

    state: Annotated[
        BackfillState,
        Meta(
            description="`waiting`: for the job to begin, or to try again after `problem`.",
            examples=["running"],
        ),
    ]
    days: Annotated[int, Meta(description="How many days are read.", examples=[30])]
    start: Annotated[
        int, Meta(description="Begin of what is read, epoch ms.", examples=[1793318400000])
    ]
    end: Annotated[
        int,
        Meta(description="When it was requested: the end, epoch ms.", examples=[1795910400000]),
    ]
    done_from: Annotated[
        int,
        Meta(
            description="Everything from then to `end` is read, epoch ms.", examples=[1795046400000]
        ),
    ]
    rows: Annotated[
        int,
        Meta(
            description="Records stored by the instance that works on it, since it began.",
            examples=[27900],
        ),
    ]
    requests: Annotated[
        int, Meta(description="Requests it has sent to the exchange.", examples=[40])
    ]
    problem: Annotated[
        str, Meta(description="Why the last run ended early; may be empty.", examples=[""])
    ]

    @classmethod
    def of(cls, progress: BackfillProgress) -> Self:
        return cls(
            state=progress.state,
            days=progress.days,
            start=progress.start,
            end=progress.end,
            done_from=progress.done_from,
            rows=progress.rows,
            requests=progress.requests,
            problem=progress.problem,
        )


class BackfillController(Controller):
    """One backfill at a time, of all instances that share the store."""

    path = "/xchg/funding/backfill"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("funding",)

    @get(
        operation_id="read_backfill",
        summary="How far the last requested backfill is",
        responses={404: problem_spec(NO_BACKFILL), 503: problem_spec(STORE_UNAVAILABLE)},
    )
    async def read_backfill(self, backfills: NamedDependency[Backfills]) -> BackfillView:
        """Its state is in the store, and survives restarts of the service."""
        progress = await backfills.backfill_progress()
        if progress is None:
            raise NoBackfillError("POST /xchg/funding/backfill requests one")
        return BackfillView.of(progress)

    @post(
        opt={"scope": Scope.JOBS_RUN},
        operation_id="request_backfill",
        operation_class=BackfillOperation,
        summary="Read the funding history of the last days again",
        response_description="Requested; `/xchg/funding/backfill` shows how far it is",
        responses={
            400: problem_spec(REQUEST_INVALID),
            415: problem_spec(MEDIA_TYPE, CONTENT_CODING),
            503: problem_spec(STORE_UNAVAILABLE, EXCHANGE_UNAVAILABLE, ACCESS_DISABLED),
        },
        status_code=202,
    )
    async def request_backfill(
        self, request: AnyRequest, body: RawBody, backfills: NamedDependency[Backfills]
    ) -> BackfillView:
        """One instance reads, in the background, within the limits of the exchange. It is safe to
        repeat: a backfill that is not done and covers these days goes on where it is, and records
        that are stored already stay as they are.
        """
        days = read_days(request.headers.get("content-type", ""), body)
        return BackfillView.of(await backfills.request_backfill(days))
