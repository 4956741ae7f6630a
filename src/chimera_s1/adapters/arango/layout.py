"""Collections, indexes and document keys in ArangoDB."""

from hashlib import sha256

from msgspec import Struct

COMMITS = "treasury_commits"
TRANSFERS = "treasury_transfers"
CURSORS = "treasury_cursors"
LEASES = "treasury_leases"
INSTALLATION = "treasury_installation"
JOB_RUNS = "job_runs"


class IndexPlan(Struct, frozen=True):
    """A required persistent index."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False


class CollectionPlan(Struct, frozen=True):
    """A required collection."""

    name: str
    waits_for_sync: bool = False
    indexes: tuple[IndexPlan, ...] = ()


COLLECTIONS = (
    CollectionPlan(
        COMMITS,
        waits_for_sync=True,
        indexes=(
            IndexPlan("commit_id", ("ledger", "commit_id"), unique=True),
            IndexPlan("stream", ("ledger", "streams[*]", "seq")),
        ),
    ),
    CollectionPlan(
        TRANSFERS,
        indexes=(IndexPlan("place", ("place",)), IndexPlan("status", ("status", "place"))),
    ),
    CollectionPlan(CURSORS),
    CollectionPlan(LEASES),
    CollectionPlan(INSTALLATION, waits_for_sync=True),
    CollectionPlan(JOB_RUNS),
)


def document_key(text: str) -> str:
    """A document key for any text: ArangoDB limits the characters and length of keys."""
    return sha256(text.encode()).hexdigest()


def transfer_sort_key(created_at: int, transfer_id: str) -> str:
    """Sorts by time, then by the id's UTF-8, under any collation: it has only digits and a to f."""
    return f"{created_at:016d}{transfer_id.encode().hex()}"
