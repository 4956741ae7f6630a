"""Collections, indexes and document keys in ArangoDB."""

from hashlib import sha256

from msgspec import Struct

from chimera_s1.domain.funding.settlement import SettlementKey
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
FUNDING = "funding_records"
FUNDING_ANNOUNCEMENTS = "funding_announcements"
FUNDING_DISPUTES = "funding_disputes"
FUNDING_COVERAGE = "funding_coverage"

_KEY_LENGTH_MAX = 254
_TIME_MAX = 10**16 - 1
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


_BY_PLACE = (IndexPlan("place", ("place",)), IndexPlan("symbol", ("symbol", "place")))

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
    CollectionPlan(FUNDING, waits_for_sync=True, is_new=True, indexes=_BY_PLACE),
    CollectionPlan(FUNDING_ANNOUNCEMENTS, waits_for_sync=True, is_new=True),
    CollectionPlan(FUNDING_DISPUTES, waits_for_sync=True, is_new=True, indexes=_BY_PLACE),
    CollectionPlan(FUNDING_COVERAGE, waits_for_sync=True, is_new=True),
)


def document_key(text: str) -> str:
    """A document key for any text: ArangoDB limits the characters and length of keys."""
    return sha256(text.encode()).hexdigest()


def transfer_sort_key(created_at: int, transfer_id: str) -> str:
    """Sorts by time, then by the id's UTF-8, under any collation: it has only digits and a to f."""
    return f"{created_at:016d}{transfer_id.encode().hex()}"


def instrument_key(instrument: InstrumentId) -> str:
    """Readable, and different for any two instruments; Binance lists symbols in Chinese."""
    return _readable_key(instrument.venue.value, instrument.symbol)


def settlement_key(key: SettlementKey) -> str:
    """Readable, and different for any two settlements."""
    return _readable_key(f"{key.funding_time:016d}", key.symbol, key.rate_type)


def coverage_key(kind: str, name: str) -> str:
    return _readable_key(kind, name)


def settlement_sort_key(key: SettlementKey, *more: str) -> str:
    """Sorts as *key* does, then by the UTF-8 of each of *more*, under any collation: it has only
    digits and a to f. No text contains the byte 0, which ends each.
    """
    texts = (key.symbol, key.rate_type, *more)
    return time_sort_key(key.funding_time) + "00".join(each.encode().hex() for each in texts)


def time_sort_key(time: int) -> str:
    """Below the sort keys of all settlements at or after *time*, and above all earlier ones."""
    return f"{min(max(time, 0), _TIME_MAX):016d}"


def _readable_key(prefix: str, *texts: str) -> str:
    key = "-".join((prefix, *map(_ascii, texts)))
    if len(key) <= _KEY_LENGTH_MAX:
        return key
    return f"{prefix}-*{document_key(chr(0).join(texts))}"


def _ascii(text: str) -> str:
    """The way of quoted-printable: `%` would have to be encoded again in a URL."""
    return "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in text.encode())
