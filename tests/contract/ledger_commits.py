"""Makes, appends and verifies commits for tests."""

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
    """A draft with an unused commit id and one event for each of *streams*."""
    number = next(_numbers)
    event_data = data or {"amount": "0.00000001"}
    return CommitDraft(
        commit_id=f"{id_prefix}-{number}",
        at=1_772_514_460_893 + number,
        actor="s1/test",
        correlation_id="c",
        events=tuple(NewEvent(stream, "test.noted", 1, event_data) for stream in streams),
    )


async def append_commits(events: EventStore, count: int) -> tuple[Commit, ...]:
    """Append *count* commits of the stream `transfer/a`, the only one in the ledger."""
    head = await events.head()
    commits = []
    for _ in range(count):
        commit = seal(make_draft("transfer/a"), LEDGER, head, {"transfer/a": head.seq})
        await events.append(commit)
        commits.append(commit)
        head = head_of(commit)
    return tuple(commits)


async def verify_links(events: EventStore, *, limit: int = 2) -> tuple[LedgerHead, str]:
    """Verify a ledger from its first commit.

    Returns:
        The last valid commit, and the problem after it; empty if there is none.
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
