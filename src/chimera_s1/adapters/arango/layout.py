"""Where what is kept in an ArangoDB: collections, keys and indexes."""

from hashlib import sha256

from msgspec import Struct

COMMITS = "treasury_commits"
TRANSFERS = "treasury_transfers"
CURSORS = "treasury_cursors"
LEASES = "treasury_leases"


class IndexPlan(Struct, frozen=True):
    """A persistent index as it is to be."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False


class CollectionPlan(Struct, frozen=True):
    """A collection as it is to be.

    Attributes:
        waits_for_sync: Each write waits for the disk.
    """

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
)


def document_key(text: str) -> str:
    """A document key for any text: keys may hold neither every character nor so many."""
    return sha256(text.encode()).hexdigest()


def transfer_sort_key(created_at: int, transfer_id: str) -> str:
    """Text that sorts, in every language, as first the time and then the id's UTF-8 do."""
    return f"{created_at:016d}{transfer_id.encode().hex()}"
