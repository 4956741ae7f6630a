"""Response bodies about dead letters."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.operations.handle_dead_letters import LetterPage, ListedLetter

LETTER_ID_PATTERN = r"^(redis|store)\.[0-9a-f-]{1,64}$"
LETTER_ID_EXAMPLE = "redis.1772514460893-0"

LetterId = Annotated[
    str,
    Meta(
        description="Names place and letter.",
        pattern=LETTER_ID_PATTERN,
        examples=[LETTER_ID_EXAMPLE],
    ),
]


class LetterView(Struct, frozen=True, kw_only=True):
    """What was not delivered."""

    letter_id: LetterId
    ts: Annotated[
        int, Meta(description="When it was given up, local epoch ms.", examples=[1772514460893])
    ]
    port: Annotated[
        str, Meta(description="Where it was to be delivered.", examples=["operations_log"])
    ]
    key: Annotated[
        str, Meta(description="Names the payload within its port.", examples=["ws.lost 0f6c5a1e"])
    ]
    reason: Annotated[
        str,
        Meta(
            description="Why it was not delivered, in the other side's words.",
            examples=["Redis 10.0.0.5:6379: WRONGTYPE Operation against a key"],
        ),
    ]
    attempts: Annotated[
        int, Meta(description="Failed deliveries; 0 if it was never tried.", ge=0, examples=[5])
    ]
    replayable: Annotated[
        bool, Meta(description="Whether a replay can deliver it.", examples=[True])
    ]

    @classmethod
    def of(cls, listed: ListedLetter) -> Self:
        letter = listed.letter
        return cls(
            letter_id=listed.letter_id,
            ts=letter.ts,
            port=letter.port,
            key=letter.key,
            reason=letter.reason,
            attempts=letter.attempts,
            replayable=listed.replayable,
        )


class WholeLetterView(LetterView, frozen=True, kw_only=True):
    """A letter with its payload."""

    payload: Annotated[
        str,
        Meta(
            description="JSON, as text; empty if it was too long to keep.",
            examples=['{"event_id": "0f6c5a1e"}'],
        ),
    ]

    @classmethod
    def of(cls, listed: ListedLetter) -> Self:
        letter = listed.letter
        return cls(
            letter_id=listed.letter_id,
            ts=letter.ts,
            port=letter.port,
            key=letter.key,
            reason=letter.reason,
            attempts=letter.attempts,
            replayable=listed.replayable,
            payload=letter.payload,
        )


class UnreadableView(Struct, frozen=True):
    """A place whose letters are missing from the list."""

    place: Annotated[
        str, Meta(description="The place.", pattern="^(redis|store)$", examples=["redis"])
    ]
    problem: Annotated[
        str,
        Meta(
            description="Why, in its own words.",
            examples=["Redis 10.0.0.5:6379: connection refused"],
        ),
    ]


class LetterListView(Struct, frozen=True):
    """A page of letters: those in Redis, then those in the store; the oldest of a place first."""

    letters: tuple[LetterView, ...]
    next_after: (
        Annotated[
            str,
            Meta(
                description="Send it as `after` for the next page; null at the end.",
                pattern=LETTER_ID_PATTERN,
                examples=[LETTER_ID_EXAMPLE],
            ),
        ]
        | None
    )
    unreadable: tuple[UnreadableView, ...]

    @classmethod
    def of(cls, page: LetterPage) -> Self:
        return cls(
            tuple(map(LetterView.of, page.letters)),
            page.following or None,
            tuple(UnreadableView(place, why) for place, why in page.unreadable.items()),
        )


class ReplayedView(Struct, frozen=True):
    """A letter that was delivered and deleted."""

    letter_id: LetterId
    done: Annotated[
        str,
        Meta(
            description="What the replay has done.",
            examples=["written to ops:events as 1772514460893-0"],
        ),
    ]
