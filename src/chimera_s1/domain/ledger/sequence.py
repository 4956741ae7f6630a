"""Checks that the sequence numbers of a ledger have no gaps."""

from collections.abc import Iterable

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import commit_key


def contiguous_count(seqs: Iterable[int], ledger: str, after: int) -> int:
    """Length of the run without gaps at the start of *seqs*, which are ascending and above *after*.

    Raises:
        LedgerDamagedError: *seqs* is not empty and does not start at `after + 1`.
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
    missing, found = commit_key(ledger, missing_seq), commit_key(ledger, found_seq)
    return LedgerDamagedError(
        f"commit {missing} is missing although {found} exists; restore a backup"
    )
