"""Commits: sealing, decoding, and detection of changes."""

import json
from decimal import Decimal
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError
from chimera_s1.domain.ledger.commit import (
    COMMIT_BYTES_MAX,
    EVENTS_MAX,
    GENESIS_HASH,
    CommitDraft,
    Document,
    LedgerEntry,
    LedgerHead,
    NewEvent,
    chain_error,
    commit_name,
    decode_entry,
    document_of,
    encode_commit,
    entry_from_document,
    head_of,
    seal,
)

texts = st.text(max_size=20)
integers = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
events = st.builds(
    NewEvent,
    stream=st.sampled_from(["transfer/a", "transfer/ü", "cap/2026-03-02"]),
    type=texts,
    v=st.integers(1, 9),
    data=st.dictionaries(texts, values, max_size=4),
)
drafts = st.builds(
    CommitDraft,
    commit_id=texts,
    at=st.integers(0, 1 << 45),
    actor=texts,
    correlation_id=texts,
    events=st.lists(events, min_size=1, max_size=5).map(tuple),
)
heads = st.builds(
    LedgerHead, seq=st.integers(0, 10**15), hash=st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
)


def draft_of(*data: Document) -> CommitDraft:
    return CommitDraft(
        commit_id="command-1",
        at=1,
        actor="s1/test",
        correlation_id="c",
        events=tuple(NewEvent("transfer/a", "test.noted", 1, each) for each in data),
    )


@given(draft=drafts, head=heads)
def test_a_sealed_commit_decodes_to_itself(draft: CommitDraft, head: LedgerHead) -> None:
    """From text, and from a document with fields of the store."""
    commit = seal(draft, "main", head, {})
    entry = LedgerEntry(commit, commit.hash)

    assert decode_entry(encode_commit(commit), "here") == entry
    assert entry_from_document({**document_of(commit), "_key": "k", "_rev": "r"}, "here") == entry
    assert chain_error(entry, head) == ""
    assert head_of(commit) == LedgerHead(head.seq + 1, commit.hash)


@given(draft=drafts, head=heads)
def test_the_hash_does_not_depend_on_the_order_of_fields(
    draft: CommitDraft, head: LedgerHead
) -> None:
    """Stores may return fields in any order."""
    document = document_of(seal(draft, "main", head, {}))

    turned = msgspec.json.decode(msgspec.json.encode(dict(reversed(document.items()))))

    assert entry_from_document(turned, "here").content_hash == document["hash"]


@given(
    draft=drafts,
    versions=st.dictionaries(st.sampled_from(["transfer/a", "cap/2026-03-02"]), st.integers(0, 99)),
)
def test_event_versions_and_ids_have_no_gaps(draft: CommitDraft, versions: dict[str, int]) -> None:
    commit = seal(draft, "main", LedgerHead(6, GENESIS_HASH), versions)

    for stream in commit.streams:
        of_stream = [event.version for event in commit.events if event.stream == stream]
        begin = versions.get(stream, 0) + 1
        assert of_stream == list(range(begin, begin + len(of_stream)))
    assert sorted(commit.streams) == sorted({event.stream for event in draft.events})
    commit_digest = sha256(draft.commit_id.encode()).hexdigest()[:8]
    ids = [f"main-0000000000000007-{n}-{commit_digest}" for n in range(len(draft.events))]
    assert [event.id for event in commit.events] == ids
    assert [event.n for event in commit.events] == list(range(len(ids)))


@given(data=st.data(), draft=drafts, head=heads)
def test_any_changed_byte_of_a_commit_is_detected(
    data: st.DataObject, draft: CommitDraft, head: LedgerHead
) -> None:
    """A changed byte breaks decoding or the chain, or leaves the content as it was."""
    commit = seal(draft, "main", head, {})
    text = bytearray(encode_commit(commit))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))

    try:
        entry = decode_entry(bytes(text), "here")
    except LedgerDamagedError:
        return

    same = msgspec.json.decode(bytes(text)) == msgspec.json.decode(encode_commit(commit))
    assert same or chain_error(entry, head)


@given(data=st.data(), draft=drafts, head=heads)
def test_stored_text_and_document_decode_alike(
    data: st.DataObject, draft: CommitDraft, head: LedgerHead
) -> None:
    """In any layout, and with other members called `hash`."""
    commit = seal(draft, "main", head, {})
    sealed = document_of(commit)
    with_hash = [{**msgspec.to_builtins(commit.events[0]), "hash": commit.hash}]
    changes: list[Document] = [{}, {"hash": "0" * 64}, {"more": sealed}, {"events": with_hash}]
    document = {**sealed, **data.draw(st.sampled_from(changes))}
    shuffled = dict(data.draw(st.permutations(list(document.items()))))
    indent, ascii_only = data.draw(st.sampled_from([None, 1])), data.draw(st.booleans())

    text = json.dumps(shuffled, indent=indent, ensure_ascii=ascii_only).encode()

    assert decode_entry(text, "here") == entry_from_document(document, "here")


def test_a_hash_member_inside_an_event_is_not_the_commit_hash() -> None:
    """The text without that member has the right hash, but the commit has no `hash` member."""
    text = encode_commit(seal(draft_of({"a": {"amount": "1"}}), "main", LedgerHead(), {}))
    member = text[text.rindex(b',"hash":') : text.rindex(b',"ledger":')]
    elsewhere = text.replace(member, b"").replace(b'"amount":"1"', b'"amount":"1"' + member)
    assert sorted(elsewhere) == sorted(text)

    with pytest.raises(LedgerDamagedError, match="hash"):
        decode_entry(elsewhere, "here")


@given(stored=st.binary(max_size=60))
def test_the_error_of_an_invalid_commit_names_its_key(stored: bytes) -> None:
    with pytest.raises(
        LedgerDamagedError, match=r"^commit 3 \(main-0000000000000003\) cannot be decoded: "
    ):
        decode_entry(stored, commit_name("main", 3))


@pytest.mark.parametrize(
    "stored",
    [b'{"a":' * 10_000, b'{"events":"\xff"}', b"[]", b"null", b"", b'{"seq":1e999}'],
    ids=["deep", "not UTF-8", "list", "null", "empty", "infinite"],
)
def test_text_that_breaks_parsers_is_damage(stored: bytes) -> None:
    with pytest.raises(LedgerDamagedError, match="not a commit"):
        decode_entry(stored, "here")


def test_the_hash_covers_fields_of_a_newer_version() -> None:
    """This version ignores them, but detects that one was changed or removed."""
    head = LedgerHead(3, GENESIS_HASH)
    newer = document_of(seal(draft_of({"amount": "1"}), "main", head, {}))
    newer |= {"schema": 2, "approved_by": "x"}
    newer["hash"] = entry_from_document(newer, "here").content_hash

    entry = entry_from_document(newer, "here")
    assert chain_error(entry, head) == ""
    assert entry.commit.schema == 2

    for changed in ({**newer, "approved_by": "me"}, {**newer, "more": None}):
        assert "was changed" in chain_error(entry_from_document(changed, "here"), head)
    del newer["approved_by"]
    assert "was changed" in chain_error(entry_from_document(newer, "here"), head)


def test_each_chain_error_names_the_commit() -> None:
    first = seal(draft_of({}), "main", LedgerHead(), {})
    second = seal(draft_of({}), "main", head_of(first), {})
    other = seal(draft_of({"other": 1}), "main", LedgerHead(), {})

    assert chain_error(LedgerEntry(first, first.hash), LedgerHead()) == ""
    assert chain_error(LedgerEntry(second, second.hash), LedgerHead()) == (
        "commit 1 is missing: commit 0 is followed by 2"
    )
    assert chain_error(LedgerEntry(first, first.hash), head_of(first)) == (
        "commit 2 is missing: commit 1 is followed by 1"
    )
    assert chain_error(LedgerEntry(second, GENESIS_HASH), head_of(first)) == (
        "commit 2 was changed after it was written: its hash does not match"
    )
    assert chain_error(LedgerEntry(second, second.hash), head_of(other)) == (
        "commit 2 does not link to commit 1: prev_hash differs"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "holds no floats"),
        (float("nan"), "holds no floats"),
        (1 << 63, "9223372036854775808 does not fit into 64 bits"),
        (-(1 << 63) - 1, "does not fit into 64 bits"),
        (Decimal("1.5"), "Decimal is not a JSON value"),
        (b"bytes", "bytes is not a JSON value"),
        ({1: "a"}, "JSON names must be text"),
    ],
)
def test_values_that_stores_do_not_preserve_are_refused(value: object, message: str) -> None:
    """At any depth; the error names the event type."""
    deep: Document = {"x": [{"y": [value]}]}
    for data in ({"x": value}, deep):
        with pytest.raises(InvalidValueError, match=f"test.noted: .*{message}"):
            seal(draft_of(data), "main", LedgerHead(), {})


def test_text_that_is_not_utf8_is_refused() -> None:
    """A lone surrogate has no UTF-8 encoding."""
    with pytest.raises(InvalidValueError, match="a commit must be valid UTF-8"):
        seal(draft_of({"reason": "\ud800"}), "main", LedgerHead(), {})


def test_a_commit_is_limited_in_events_and_bytes() -> None:
    for number in (0, EVENTS_MAX + 1):
        with pytest.raises(InvalidValueError, match=f"1 to 200 events, not {number}"):
            seal(draft_of(*[{}] * number), "main", LedgerHead(), {})
    seal(draft_of(*[{}] * EVENTS_MAX), "main", LedgerHead(), {})

    rest = COMMIT_BYTES_MAX - len(
        encode_commit(seal(draft_of({"x": ""}), "main", LedgerHead(), {}))
    )
    largest = seal(draft_of({"x": "x" * rest}), "main", LedgerHead(), {})
    assert len(encode_commit(largest)) == COMMIT_BYTES_MAX
    with pytest.raises(InvalidValueError, match="at most 1000000 bytes"):
        seal(draft_of({"x": "x" * (rest + 1)}), "main", LedgerHead(), {})


def test_the_hash_of_a_commit_never_changes() -> None:
    """A golden hash: with another algorithm existing ledgers could not be read."""
    commit = seal(
        draft_of({"amount": "12.34000000", "reason": "naïve 資金", "n": (1 << 63) - 1}),
        "main",
        LedgerHead(),
        {"transfer/a": 2},
    )

    assert commit.hash == "a74d6bbdcfcb9f84f297187c31f5855d1357ed2a7a44ce56ec544dd0803f9035"
    # The hash can be checked with the standard library alone.
    rest = {name: value for name, value in document_of(commit).items() if name != "hash"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert commit.hash == sha256(text.encode()).hexdigest()
