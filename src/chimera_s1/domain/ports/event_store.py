"""Port: an append-only ledger."""

from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, LedgerHead

READ_LIMIT_MAX = 1_000
"""Most entries of one read."""


class Appended(Struct, frozen=True):
    """The commit is durable; *already_written* if an earlier attempt with a lost reply wrote it."""

    commit: Commit
    already_written: bool = False


class SeqTaken(Struct, frozen=True):
    """Another commit has this sequence number; nothing was or will be written."""

    existing: Commit


class NotLinked(Struct, frozen=True):
    """The commit before it is missing or has another hash: nothing was written. Read the head."""


AppendResult: TypeAlias = Appended | SeqTaken | NotLinked


class EventStore(Protocol):
    """One ledger. Every call raises `StoreUnavailableError` if the store does not answer in time,
    and `LedgerDamagedError` if a stored document is not a commit.
    """

    @property
    def ledger(self) -> str: ...

    async def append(self, commit: Commit) -> AppendResult:
        """Insert *commit* if its sequence number is free and the commit before it is the one that
        it names; durable before this returns.

        So whoever made *commit* from all commits up to the one before it missed none.

        After `StoreUnavailableError` the outcome is unknown, and the commit may still appear at its
        sequence number. Appending the same commit again is safe and determines the outcome.

        A commit id is written once. If it is stored under another sequence number, the result is
        `Appended` with the stored commit.
        """
        ...

    async def head(self) -> LedgerHead:
        """The newest commit's sequence number and hash; a cluster must not answer a stale one."""
        ...

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        """At most *limit* entries after sequence number *after*, in order, up to the first gap.

        A gap at the first entry raises `LedgerDamagedError`.
        """
        ...

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        """All entries with an event of *stream*, in order."""
        ...
