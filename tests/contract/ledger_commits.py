"""Commits for tests, and a walk through a ledger of them."""

from itertools import count

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import (
    Commit,
    CommitDraft,
    Document,
    LedgerHead,
    NewEvent,
    chain_error,
    head_of,
    seal,
)
from chimera_s1.domain.ports.event_store import EventStore

LEDGER = "main"

_numbers = count(1)


def make_draft(
    *streams: str, data: Document | None = None, id_prefix: str = "command"
) -> CommitDraft:
    """A draft like no other of this process, with one event for each of *streams*."""
    number = next(_numbers)
    what = data or {"amount": "0.00000001"}
    return CommitDraft(
        commit_id=f"{id_prefix}-{number}",
        at=1_772_514_460_893 + number,
        actor="s1/test",
        correlation_id="c",
        events=tuple(NewEvent(stream, "test.noted", 1, what) for stream in streams),
    )


async def append_commits(events: EventStore, number: int) -> tuple[Commit, ...]:
    """Append *number* commits to the stream `transfer/a`, of which nothing else is written."""
    head = await events.head()
    commits = []
    for _ in range(number):
        commit = seal(make_draft("transfer/a"), LEDGER, head, {"transfer/a": head.seq})
        await events.append(commit)
        commits.append(commit)
        head = head_of(commit)
    return tuple(commits)


async def verify_links(events: EventStore, *, limit: int = 2) -> tuple[LedgerHead, str]:
    """Go through a ledger from its beginning.

    Returns:
        How far it is what was written, and what is wrong then; empty at the end.
    """
    head = LedgerHead()
    try:
        while page := await events.read(head.seq, limit):
            for entry in page:
                problem = chain_error(entry, head)
                if problem:
                    return head, problem
                head = head_of(entry.commit)
    except LedgerDamagedError as error:
        return head, str(error)
    return head, ""
