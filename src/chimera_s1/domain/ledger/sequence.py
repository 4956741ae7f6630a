"""The places of a ledger, which have no holes."""

from collections.abc import Iterable

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import commit_key


def contiguous(places: Iterable[int], ledger: str, after: int) -> int:
    """How many of *places* come right after *after*, each one more than the one before.

    Args:
        places: Where a store has found commits, all after *after*, ascending.

        ledger: Its name, for the error.

        after: The place before the first wanted one.

    Raises:
        LedgerDamagedError: There are some, and not even the first is where it should be.
    """
    wanted = after + 1
    for place in places:
        if place != wanted:
            break
        wanted += 1
    else:
        return wanted - after - 1
    if wanted == after + 1:
        raise missing(ledger, wanted, place)
    return wanted - after - 1


def missing(ledger: str, wanted: int, found: int) -> LedgerDamagedError:
    """The error for a hole at *wanted*, where *found* is there."""
    there, gone = commit_key(ledger, found), commit_key(ledger, wanted)
    return LedgerDamagedError(f"commit {gone} is missing, and {there} is there; restore a backup")
