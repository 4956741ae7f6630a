"""`/xchg/dead-letters`: what could not be delivered, and delivering it again."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from chimera_s1.app.capabilities.operations.handle_dead_letters import (
    PAGE_MAX,
    HandleDeadLetters,
    NotReplayableError,
    ReplayFailedError,
    UnknownLetterError,
)
from chimera_s1.app.capabilities.operations.web.dead_letter_schemas import (
    LETTER_ID_EXAMPLE,
    LETTER_ID_PATTERN,
    LetterListView,
    LetterView,
    ReplayedView,
    WholeLetterView,
)
from chimera_s1.app.capabilities.operations.web.problems import (
    LETTER_NOT_REPLAYABLE,
    LETTER_UNKNOWN,
    REPLAY_FAILED,
)
from chimera_s1.app.web.problem_kinds import ACCESS_DISABLED, REQUEST_INVALID, STORE_UNAVAILABLE
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor

_LetterId = Annotated[
    str,
    PathParameter(
        description="`letter_id` of the letter.",
        examples=[Example(value=LETTER_ID_EXAMPLE)],
        schema_extra={"pattern": LETTER_ID_PATTERN},
    ),
]


class DeadLetterController(Controller):
    """Letters of all instances that share Redis and the store."""

    path = "/xchg/dead-letters"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("operation",)

    @get(
        "",
        operation_id="list_dead_letters",
        summary="Dead letters: what could not be delivered",
        responses={400: problem_spec(REQUEST_INVALID), 404: problem_spec(LETTER_UNKNOWN)},
    )
    async def list_dead_letters(
        self,
        handle_dead_letters: NamedDependency[HandleDeadLetters],
        limit: Annotated[
            int,
            QueryParameter(
                description="Letters per page.", ge=1, le=PAGE_MAX, examples=[Example(value=100)]
            ),
        ] = 100,
        after: Annotated[
            str | None,
            QueryParameter(
                description="`next_after` of the previous page.",
                schema_extra={"pattern": LETTER_ID_PATTERN, "examples": [LETTER_ID_EXAMPLE]},
            ),
        ] = None,
    ) -> LetterListView:
        """Without payloads. A place that cannot be read is named, and the other one is listed."""
        return LetterListView.of(await handle_dead_letters.list_page(after or "", limit))

    @get(
        "/{letter_id:str}",
        operation_id="read_dead_letter",
        summary="A dead letter with its payload",
        responses={404: problem_spec(LETTER_UNKNOWN), 503: problem_spec(STORE_UNAVAILABLE)},
    )
    async def read_dead_letter(
        self, letter_id: _LetterId, handle_dead_letters: NamedDependency[HandleDeadLetters]
    ) -> WholeLetterView:
        """From the place where it is kept, `dlq:s1` or the store."""
        return WholeLetterView.of(await handle_dead_letters.find(letter_id))

    @post(
        "/{letter_id:str}/replay",
        opt={"scope": Scope.JOBS_RUN},
        operation_id="replay_dead_letter",
        summary="Deliver a dead letter again, and delete it",
        response_description="Delivered and deleted",
        responses={
            400: problem_spec(REQUEST_INVALID),
            404: problem_spec(LETTER_UNKNOWN),
            409: problem_spec(LETTER_NOT_REPLAYABLE, REPLAY_FAILED),
            503: problem_spec(STORE_UNAVAILABLE, ACCESS_DISABLED),
        },
        status_code=200,
    )
    async def replay_dead_letter(
        self,
        letter_id: _LetterId,
        handle_dead_letters: NamedDependency[HandleDeadLetters],
        actor: NamedDependency[Actor],
    ) -> ReplayedView:
        """The receiver recognizes a payload that it has, so a repeated call does no harm. A letter
        that is not delivered stays.
        """
        by = f"{actor.name}/{actor.kid}"
        return ReplayedView(letter_id, await handle_dead_letters.replay(letter_id, by))

    @delete(
        "/{letter_id:str}",
        opt={"scope": Scope.JOBS_RUN},
        operation_id="drop_dead_letter",
        summary="Delete a dead letter without delivering it",
        response_description="Deleted; the letter as it was",
        responses={
            404: problem_spec(LETTER_UNKNOWN),
            503: problem_spec(STORE_UNAVAILABLE, ACCESS_DISABLED),
        },
        status_code=200,
    )
    async def drop_dead_letter(
        self,
        letter_id: _LetterId,
        handle_dead_letters: NamedDependency[HandleDeadLetters],
        actor: NamedDependency[Actor],
    ) -> LetterView:
        """What the letter says is not delivered any more. The event `dead_letters.deleted` has it
        and the actor.
        """
        by = f"{actor.name}/{actor.kid}"
        return LetterView.of(await handle_dead_letters.drop(letter_id, by))


def dead_letters_part(handle_dead_letters: HandleDeadLetters) -> WebPart:
    return WebPart(
        routes=(DeadLetterController,),
        dependencies={"handle_dead_letters": handle_dead_letters},
        kind_by_error={
            UnknownLetterError: LETTER_UNKNOWN,
            NotReplayableError: LETTER_NOT_REPLAYABLE,
            ReplayFailedError: REPLAY_FAILED,
        },
    )
