"""Collections, indexes and document keys in ArangoDB."""

from hashlib import sha256

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId

COMMITS = "treasury_commits"
TRANSFERS = "treasury_transfers"
CURSORS = "treasury_cursors"
LEASES = "treasury_leases"
INSTALLATION = "treasury_installation"
JOB_RUNS = "job_runs"
REGISTRY = "instrument_registry"
REGISTRY_CHANGES = "instrument_registry_changes"
REGISTRY_HELD = "instrument_registry_held"
DEAD_LETTERS = "dead_letters"

_KEY_LENGTH_MAX = 254
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")


class IndexPlan(Struct, frozen=True):
    """A required persistent index."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False


class CollectionPlan(Struct, frozen=True):
    """A required collection.

    Attributes:
        is_new: An older service's database lacks it, and may be read all the same.
    """

    name: str
    waits_for_sync: bool = False
    is_new: bool = False
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
    CollectionPlan(JOB_RUNS, is_new=True),
    CollectionPlan(
        REGISTRY, waits_for_sync=True, is_new=True, indexes=(IndexPlan("venue", ("venue",)),)
    ),
    CollectionPlan(REGISTRY_CHANGES, waits_for_sync=True, is_new=True),
    CollectionPlan(REGISTRY_HELD, waits_for_sync=True, is_new=True),
    CollectionPlan(DEAD_LETTERS, waits_for_sync=True, is_new=True),
)


def document_key(text: str) -> str:
    """A document key for any text: ArangoDB limits the characters and length of keys."""
    return sha256(text.encode()).hexdigest()


def transfer_sort_key(created_at: int, transfer_id: str) -> str:
    """Sorts by time, then by the id's UTF-8, under any collation: it has only digits and a to f."""
    return f"{created_at:016d}{transfer_id.encode().hex()}"


def instrument_key(instrument: InstrumentId) -> str:
    """Readable, and different for any two instruments; Binance lists symbols in Chinese."""
    # The way of quoted-printable: `%` would have to be encoded again in a URL.
    symbol = "".join(
        chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in instrument.symbol.encode()
    )
    key = f"{instrument.venue.value}-{symbol}"
    if len(key) <= _KEY_LENGTH_MAX:
        return key
    return f"{instrument.venue.value}-*{document_key(instrument.symbol)}"
