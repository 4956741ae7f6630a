"""Port: a ledger, which only grows."""

from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, LedgerHead

READ_LIMIT_MAX = 1_000
"""No read gives more entries at once."""


class Appended(Struct, frozen=True):
    """The commit is in the ledger and will survive the loss of the machine's power.

    Attributes:
        already_written: It was there already: an earlier try of ours, whose reply was lost, had
            written it.
    """

    commit: Commit
    already_written: bool = False


class SeqTaken(Struct, frozen=True):
    """Somebody else's commit has that place: nothing was written, and never will be. What was
    decided must be decided again, from what the ledger says now.
    """

    existing: Commit


AppendResult: TypeAlias = Appended | SeqTaken


class EventStore(Protocol):
    """One ledger. Every call raises `StoreUnavailableError` where the store does not answer in
    time, and `LedgerDamagedError` where it meets what is no commit at all.
    """

    @property
    def ledger(self) -> str:
        """Its name."""
        ...

    async def append(self, commit: Commit) -> AppendResult:
        """Insert *commit* at its place if that is free; durable before it returns.

        After `StoreUnavailableError` the commit may or may not be there, or come to be there later.
        Calling again with the same commit is safe, and tells; so does the next `head`, unless the
        first call is still on its way: then it can only take the place it was meant for.

        A commit id is written once. Where it has another place than *commit*, the answer is
        `Appended` with the one that is there.
        """
        ...

    async def head(self) -> LedgerHead:
        """The newest commit's place and hash, as stored by now in the whole cluster."""
        ...

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        """The entries after place *after*, in order, without gaps, at most *limit*.

        A hole is never passed over: the entries before it are given, and when it is the first one,
        `LedgerDamagedError` names it.
        """
        ...

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        """Every entry with an event of *stream*, in order."""
        ...
