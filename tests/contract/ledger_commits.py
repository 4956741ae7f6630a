"""Commits for tests, and a walk through a ledger of them."""

from itertools import count

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import (
    Commit,
    Document,
    Draft,
    Head,
    NewEvent,
    head_of,
    link_problem,
    seal,
)
from chimera_s1.domain.ports.event_store import EventStore

LEDGER = "main"

_numbers = count(1)


def draft_of(*streams: str, data: Document | None = None, id_prefix: str = "command") -> Draft:
    """A draft like no other of this process, with one event for each of *streams*."""
    number = next(_numbers)
    what = data or {"amount": "0.00000001"}
    return Draft(
        commit_id=f"{id_prefix}-{number}",
        at=1_772_514_460_893 + number,
        actor="s1/test",
        correlation_id="c",
        events=tuple(NewEvent(stream, "test.noted", 1, what) for stream in streams),
    )


async def append_some(events: EventStore, number: int) -> tuple[Commit, ...]:
    """Append *number* commits to the stream `transfer/a`, of which nothing else is written."""
    head = await events.head()
    commits = []
    for _ in range(number):
        commit = seal(draft_of("transfer/a"), LEDGER, head, {"transfer/a": head.seq})
        await events.append(commit)
        commits.append(commit)
        head = head_of(commit)
    return tuple(commits)


async def walk(events: EventStore, *, limit: int = 2) -> tuple[Head, str]:
    """Go through a ledger from its beginning.

    Returns:
        How far it is what was written, and what is wrong then; empty at the end.
    """
    head = Head()
    try:
        while page := await events.read(head.seq, limit):
            for entry in page:
                problem = link_problem(entry, head)
                if problem:
                    return head, problem
                head = head_of(entry.commit)
    except LedgerDamagedError as error:
        return head, str(error)
    return head, ""
