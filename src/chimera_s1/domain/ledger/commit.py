"""Commits: the documents a ledger is made of.

One commit holds all events of one command, for any number of streams. Its sequence number is one
more than that of the commit before it, and stores insert it only where that number is free. So one
insert is the atomic batch, the optimistic lock and the global order at once; and since each commit
carries the hash of the one before it, a change of any of them shows in every later one.

Money stands in commits as exact decimal strings and times as integer epoch ms. There are no floats,
because their text is not the same everywhere and the hash is taken over text, and no integers
beyond 64 bits, because some stores would make floats of them.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeAlias

import msgspec
from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError
from chimera_s1.domain.ledger.json_exactness import inexact_value_error

Document: TypeAlias = dict[str, object]
"""JSON values by name."""

EVENTS_MAX = 200
COMMIT_BYTES_MAX = 1_000_000
SCHEMA = 1
GENESIS_HASH = "0" * 64
"""What the first commit has in place of the hash of the one before it."""

_encode = msgspec.json.Encoder(order="sorted").encode


class NewEvent(Struct, frozen=True):
    """An event that is not in a ledger yet.

    Attributes:
        stream: Whose life it belongs to, `transfer/<id>`.

        type: Stable dotted name; never the name of a class.

        v: Version of the shape of *data*.

        data: No floats, and integers of 64 bits.
    """

    stream: str
    type: str
    v: int
    data: Document


class RecordedEvent(Struct, frozen=True):
    """An event in a ledger.

    Attributes:
        n: Its place in the commit, from 0.

        id: `<ledger>-<seq>-<n>-<part of a hash of the commit id>`; unique for ever, also where a
            ledger was lost and another one begun; consumers drop a repeated one.

        version: Its place in its stream, from 1, without gaps.
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

        commit_id: Made for one try of one command; tells our own write from another's.

        at: When it was decided, local epoch ms.

        actor: Who wanted it, `s1/executor` or the name a token carries.

        correlation_id: What belongs together: the transfer id.

        prev_hash: Of the commit before.

        hash: SHA-256 over the canonical JSON of everything else, hex.

        streams: Those of its events, each once.
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
    """A commit as a store gave it back.

    Attributes:
        content_hash: Computed from what was stored; differs from `commit.hash` where it was edited.
    """

    commit: Commit
    content_hash: str


class LedgerHead(Struct, frozen=True):
    """The newest commit's number and hash; 0 and GENESIS_HASH of an empty ledger."""

    seq: int = 0
    hash: str = GENESIS_HASH


class CommitDraft(Struct, frozen=True, kw_only=True):
    """A commit before it has a place; see `Commit`."""

    commit_id: str
    at: int
    actor: str
    correlation_id: str
    events: tuple[NewEvent, ...]


def seal(
    draft: CommitDraft, ledger: str, head: LedgerHead, stream_versions: Mapping[str, int]
) -> Commit:
    """*draft* as the commit after *head*.

    Args:
        draft: What is to be written.

        ledger: Its name.

        head: Of the ledger, as far as the decision behind the draft has seen it.

        stream_versions: Of each stream the draft has events for, its newest version; 0 where it is
            new.

    Raises:
        InvalidValueError: It has no events, too many of them, a value that stores do not keep
            exactly, or is too large.
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
        commit = msgspec.structs.replace(unsealed, hash=content_hash(document_of(unsealed)))
    except UnicodeEncodeError as error:
        raise InvalidValueError(f"a commit is text, and a part of it is none: {error}") from error
    if len(encode_commit(commit)) > COMMIT_BYTES_MAX:
        raise InvalidValueError(f"a commit has at most {COMMIT_BYTES_MAX} bytes")
    return commit


def head_of(commit: Commit) -> LedgerHead:
    """*commit* as the head of its ledger."""
    return LedgerHead(commit.seq, commit.hash)


def commit_key(ledger: str, seq: int) -> str:
    """The document key, `main-0000000000001234`: fixed width, so that keys sort as numbers do."""
    return f"{ledger}-{seq:016d}"


def encode_commit(commit: Commit) -> bytes:
    """Canonical JSON: UTF-8, sorted keys, no white space."""
    return _encode(commit)


def document_of(commit: Commit) -> Document:
    """*commit* as plain JSON values."""
    document: Document = msgspec.to_builtins(commit)
    return document


def decode_entry(stored: bytes, where: str) -> LedgerEntry:
    """What a store kept as text; see `entry_of`.

    Raises:
        LedgerDamagedError: It is not JSON, or not a commit.
    """
    unchanged = _decode_canonical(stored)
    if unchanged is not None:
        return unchanged
    try:
        return entry_from_document(msgspec.json.decode(stored, type=Document), where)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LedgerDamagedError(f"{where}: not a commit: {error}") from error


def _decode_canonical(stored: bytes) -> LedgerEntry | None:
    """The entry, where *stored* is byte for byte what was sealed; three times quicker than to see
    it through all its values. None says nothing.
    """
    try:
        commit = _decode(stored)
        member = f',"hash":"{commit.hash}"'.encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    # Strings have no bare quotes, so this is a member; and where the text around it has this hash,
    # it was sealed without one, so this is the commit's own.
    before, _, after = stored.rpartition(member)
    content = sha256(before + after).hexdigest()
    return LedgerEntry(commit, content) if content == commit.hash else None


def entry_from_document(document: Mapping[str, object], where: str) -> LedgerEntry:
    """What a store kept as a document, hashed as it stands: fields a newer version has written
    count.

    Args:
        document: JSON values; names that begin with an underscore are the store's own.

        where: Names the document in the error.

    Raises:
        LedgerDamagedError: It has not the shape of a commit.
    """
    own = {name: value for name, value in document.items() if not name.startswith("_")}
    try:
        return LedgerEntry(msgspec.convert(own, Commit), content_hash(own))
    except msgspec.ValidationError as error:
        raise LedgerDamagedError(f"{where}: not a commit: {error}") from error


def content_hash(document: Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON of *document* without its `hash`, hex."""
    return sha256(
        _encode({name: value for name, value in document.items() if name != "hash"})
    ).hexdigest()


def chain_error(entry: LedgerEntry, head: LedgerHead) -> str:
    """Why *entry* cannot be the commit after *head*; empty where it can."""
    commit = entry.commit
    if commit.seq != head.seq + 1:
        return f"commit {head.seq + 1} is missing: after {head.seq} comes {commit.seq}"
    if entry.content_hash != commit.hash:
        return f"commit {commit.seq} was changed after it was written: its hash does not fit"
    if commit.prev_hash != head.hash:
        return f"commit {commit.seq} does not follow the commit {head.seq} that is there now"
    return ""


def _number_events(
    draft: CommitDraft, ledger: str, seq: int, versions: Mapping[str, int]
) -> Sequence[RecordedEvent]:
    newest = dict(versions)
    numbered: list[RecordedEvent] = []
    commit_digest = sha256(draft.commit_id.encode()).hexdigest()[:8]
    for n, event in enumerate(draft.events):
        newest[event.stream] = newest.get(event.stream, 0) + 1
        name = f"{commit_key(ledger, seq)}-{n}-{commit_digest}"
        numbered.append(
            RecordedEvent(
                n, name, event.stream, newest[event.stream], event.type, event.v, event.data
            )
        )
    return numbered


def _reject_inexact(commit: Commit) -> None:
    for event in commit.events:
        problem = inexact_value_error(event.data)
        if problem:
            raise InvalidValueError(f"{event.type}: {problem}")
