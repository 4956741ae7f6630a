"""The places of a ledger, which have no holes."""

from collections.abc import Iterable

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import commit_key


def contiguous_count(seqs: Iterable[int], ledger: str, after: int) -> int:
    """How many of *seqs* come right after *after*, each one more than the one before.

    Args:
        seqs: Where a store has found commits, all after *after*, ascending.

        ledger: Its name, for the error.

        after: The place before the first wanted one.

    Raises:
        LedgerDamagedError: There are some, and not even the first is where it should be.
    """
    expected_seq = after + 1
    for seq in seqs:
        if seq != expected_seq:
            break
        expected_seq += 1
    else:
        return expected_seq - after - 1
    if expected_seq == after + 1:
        raise missing_commit_error(ledger, expected_seq, seq)
    return expected_seq - after - 1


def missing_commit_error(ledger: str, missing_seq: int, found_seq: int) -> LedgerDamagedError:
    """The error for a hole at *missing_seq*, where *found_seq* is there."""
    there, gone = commit_key(ledger, found_seq), commit_key(ledger, missing_seq)
    return LedgerDamagedError(f"commit {gone} is missing, and {there} is there; restore a backup")
