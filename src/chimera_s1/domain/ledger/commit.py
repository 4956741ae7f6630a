"""Commits: the documents a ledger is made of.

A commit holds all events of one command, for any number of streams. Stores insert it only if its
sequence number is free: one insert is the atomic batch, the optimistic lock and the global order.
Each commit carries the hash of the previous one, so a change to any of them breaks the chain.

Money is stored as exact decimal text, time as integer epoch ms. Floats are not allowed: their text
varies between encoders, and the hash covers text. Neither are integers beyond 64 bits: some stores
convert them to floats.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeAlias

import msgspec
from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError
from chimera_s1.domain.ledger.json_exactness import inexact_value_error

Document: TypeAlias = dict[str, object]

EVENTS_MAX = 200
COMMIT_BYTES_MAX = 1_000_000
SCHEMA = 1
GENESIS_HASH = "0" * 64
"""The `prev_hash` of the first commit."""

_encode = msgspec.json.Encoder(order="sorted").encode


class NewEvent(Struct, frozen=True):
    """An event that is not in a ledger yet.

    Attributes:
        type: Stable dotted name; never the name of a class.
        v: Schema version of *data*.
        data: No floats; integers of at most 64 bits.
    """

    stream: str
    type: str
    v: int
    data: Document


class RecordedEvent(Struct, frozen=True):
    """An event in a ledger.

    Attributes:
        n: Index in the commit, from 0.
        id: `<ledger>-<seq>-<n>-<commit id digest>`; unique even if a lost ledger is started again.
            Consumers deduplicate by it.
        version: Index in its stream, from 1, without gaps.
    """

    n: int
    id: str
    stream: str
    version: int
    type: str
    v: int
    data: Document


class Commit(Struct, frozen=True, kw_only=True):
    """One document of a ledger.

    Attributes:
        ledger: Lower-case letters and digits.
        seq: From 1, without gaps.
        commit_id: Unique per attempt of a command; distinguishes our write from another instance's.
        at: Time of the decision, local epoch ms.
        actor: `s1/executor`, or the actor of a token.
        correlation_id: Common to the commits of one process, such as a transfer.
        hash: SHA-256 over the canonical JSON of all other fields, hex.
        streams: The distinct streams of its events.
    """

    ledger: str
    seq: int
    commit_id: str
    at: int
    actor: str
    correlation_id: str
    prev_hash: str
    hash: str
    streams: tuple[str, ...]
    events: tuple[RecordedEvent, ...]
    schema: int = SCHEMA


_decode = msgspec.json.Decoder(Commit).decode


class LedgerEntry(Struct, frozen=True):
    """A commit read from a store; *content_hash* is computed from what is stored."""

    commit: Commit
    content_hash: str


class LedgerHead(Struct, frozen=True):
    """Sequence number and hash of the newest commit; 0 and GENESIS_HASH for an empty ledger."""

    seq: int = 0
    hash: str = GENESIS_HASH


class CommitDraft(Struct, frozen=True, kw_only=True):
    """A commit without a sequence number; fields as in `Commit`."""

    commit_id: str
    at: int
    actor: str
    correlation_id: str
    events: tuple[NewEvent, ...]


def seal(
    draft: CommitDraft, ledger: str, head: LedgerHead, stream_versions: Mapping[str, int]
) -> Commit:
    """The commit that appends *draft* after *head*.

    *head* is the head that the decision was based on; *stream_versions* holds the newest version of
    each existing stream of the draft.

    Raises:
        InvalidValueError: No events, too many, too many bytes, or a value that stores do not
            preserve exactly.
    """
    seq = head.seq + 1
    if not 0 < len(draft.events) <= EVENTS_MAX:
        raise InvalidValueError(f"a commit has 1 to {EVENTS_MAX} events, not {len(draft.events)}")
    events = tuple(_number_events(draft, ledger, seq, stream_versions))
    unsealed = Commit(
        ledger=ledger,
        seq=seq,
        commit_id=draft.commit_id,
        at=draft.at,
        actor=draft.actor,
        correlation_id=draft.correlation_id,
        prev_hash=head.hash,
        hash="",
        streams=tuple(dict.fromkeys(event.stream for event in events)),
        events=events,
    )
    _reject_inexact(unsealed)
    try:
        content = _without_hash(encode_commit(unsealed), "")
    except UnicodeEncodeError as error:
        raise InvalidValueError(f"a commit must be valid UTF-8: {error}") from error
    commit = msgspec.structs.replace(unsealed, hash=sha256(content).hexdigest())
    if len(content) + len(_hash_member(commit.hash)) > COMMIT_BYTES_MAX:
        raise InvalidValueError(f"a commit has at most {COMMIT_BYTES_MAX} bytes")
    return commit


def head_of(commit: Commit) -> LedgerHead:
    return LedgerHead(commit.seq, commit.hash)


def commit_key(ledger: str, seq: int) -> str:
    """The document key, `main-0000000000001234`; fixed width, so that keys sort by number."""
    return f"{ledger}-{seq:016d}"


def commit_name(ledger: str, seq: int) -> str:
    """Of a commit in errors: its number, and the key under which it is stored."""
    return f"commit {seq} ({commit_key(ledger, seq)})"


def encode_commit(commit: Commit) -> bytes:
    """Canonical JSON: UTF-8, sorted keys, no whitespace."""
    return _encode(commit)


def document_of(commit: Commit) -> Document:
    document: Document = msgspec.to_builtins(commit)
    return document


def decode_entry(stored: bytes, where: str) -> LedgerEntry:
    """Decode a commit stored as text; *where* names it in errors.

    Raises:
        LedgerDamagedError: Not JSON, or not a commit.
    """
    unchanged = _decode_canonical(stored)
    if unchanged is not None:
        return unchanged
    try:
        return entry_from_document(msgspec.json.decode(stored, type=Document), where)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LedgerDamagedError(f"{where} cannot be decoded: not a commit: {error}") from error


def _decode_canonical(stored: bytes) -> LedgerEntry | None:
    """Fast path (3x): hash the stored bytes as they are. None: the full decoding must decide."""
    try:
        commit = _decode(stored)
        content = sha256(_without_hash(stored, commit.hash)).hexdigest()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    # If the text without the member has this hash, that text was sealed without a `hash` member, so
    # this one is the commit's own.
    return LedgerEntry(commit, content) if content == commit.hash else None


def _without_hash(encoded: bytes, commit_hash: str) -> bytes:
    """Canonical JSON of a commit without its `hash`.

    JSON strings contain no bare quotes, so what is removed is a real member. It is the last one of
    that name: events come before it, and no member after it has members of its own.
    """
    before, _, after = encoded.rpartition(_hash_member(commit_hash))
    return before + after


def _hash_member(commit_hash: str) -> bytes:
    return f',"hash":"{commit_hash}"'.encode()


def entry_from_document(document: Mapping[str, object], where: str) -> LedgerEntry:
    """Convert a stored document. The hash covers every field, including those of newer versions.

    Args:
        document: Names with a leading underscore belong to the store and are ignored.
        where: Names the document in errors.

    Raises:
        LedgerDamagedError: Not a commit.
    """
    own = {name: value for name, value in document.items() if not name.startswith("_")}
    try:
        return LedgerEntry(msgspec.convert(own, Commit), content_hash(own))
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise LedgerDamagedError(f"{where} cannot be decoded: not a commit: {error}") from error


def content_hash(document: Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON of *document* without its `hash`, hex."""
    return sha256(
        _encode({name: value for name, value in document.items() if name != "hash"})
    ).hexdigest()


def chain_error(entry: LedgerEntry, head: LedgerHead) -> str:
    """Why *entry* cannot be the commit after *head*; empty if it can."""
    commit = entry.commit
    if commit.seq != head.seq + 1:
        return f"commit {head.seq + 1} is missing: commit {head.seq} is followed by {commit.seq}"
    if entry.content_hash != commit.hash:
        return f"commit {commit.seq} was changed after it was written: its hash does not match"
    if commit.prev_hash != head.hash:
        return f"commit {commit.seq} does not link to commit {head.seq}: prev_hash differs"
    return ""


def _number_events(
    draft: CommitDraft, ledger: str, seq: int, versions: Mapping[str, int]
) -> Sequence[RecordedEvent]:
    newest = dict(versions)
    numbered: list[RecordedEvent] = []
    commit_digest = sha256(draft.commit_id.encode()).hexdigest()[:8]
    for n, event in enumerate(draft.events):
        newest[event.stream] = newest.get(event.stream, 0) + 1
        event_id = f"{commit_key(ledger, seq)}-{n}-{commit_digest}"
        numbered.append(
            RecordedEvent(
                n, event_id, event.stream, newest[event.stream], event.type, event.v, event.data
            )
        )
    return numbered


def _reject_inexact(commit: Commit) -> None:
    for event in commit.events:
        problem = inexact_value_error(event.data)
        if problem:
            raise InvalidValueError(f"{event.type}: {problem}")
