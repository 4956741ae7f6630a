"""A ledger that was changed in its store: what verification reports, for every store."""

from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from chimera_s1.domain.ledger.commit import (
    Document,
    LedgerHead,
    content_hash,
    document_of,
    head_of,
    seal,
)
from tests.contract.ledger_commits import LEDGER, append_commits, make_draft, verify_links
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet


def raise_amount(document: Document) -> None:
    events = cast("list[dict[str, Document]]", document["events"])
    events[0]["data"]["amount"] = "999999"


def raise_amount_and_hash(document: Document) -> None:
    raise_amount(document)
    document["hash"] = content_hash(document)


async def edit(harness: LedgerHarness) -> None:
    await harness.edit_document(3, raise_amount)


async def add_unknown_field(harness: LedgerHarness) -> None:
    await harness.edit_document(3, lambda document: document.update(note="unknown to this version"))


async def edit_and_hash(harness: LedgerHarness) -> None:
    await harness.edit_document(3, raise_amount_and_hash)


async def delete(harness: LedgerHarness) -> None:
    await harness.delete_document(3)


async def delete_the_first(harness: LedgerHarness) -> None:
    await harness.delete_document(1)


async def swap(harness: LedgerHarness) -> None:
    await harness.swap_documents(3, 4)


async def swap_and_number(harness: LedgerHarness) -> None:
    await harness.swap_documents(3, 4)
    await harness.edit_document(3, lambda document: document.update(seq=3))
    await harness.edit_document(4, lambda document: document.update(seq=4))


async def insert(harness: LedgerHarness) -> None:
    """A forged commit that fits its predecessor; later ones move up by one seq."""
    before = await harness.load_document(2)
    head = LedgerHead(2, str(before["hash"]))
    for seq in (5, 4, 3):
        await harness.save_document(seq + 1, await harness.load_document(seq))
    await harness.save_document(3, document_of(seal(make_draft("forged"), LEDGER, head, {})))


TAMPERINGS: dict[Callable[[LedgerHarness], Awaitable[None]], tuple[int, str]] = {
    edit: (2, "commit 3 was changed"),
    add_unknown_field: (2, "commit 3 was changed"),
    edit_and_hash: (3, "commit 4 does not link to commit 3"),
    delete: (2, "main-0000000000000003 is missing"),
    delete_the_first: (0, "main-0000000000000001 is missing"),
    swap: (2, "commit 3 is missing: commit 2 is followed by 4"),
    swap_and_number: (2, "commit 3 was changed"),
    insert: (3, "commit 4 is missing: commit 3 is followed by 3"),
}
"""The last valid seq, and the reported problem after it."""


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda tampering: tampering.__name__)
async def test_row_45_verification_names_the_first_bad_seq(
    ledger_harness: LedgerHarness,
    ledger_stores: StoreSet,
    tampering: Callable[[LedgerHarness], Awaitable[None]],
) -> None:
    """Also in a later process."""
    commits = await append_commits(ledger_stores.events, 5)
    assert await verify_links(ledger_stores.events) == (head_of(commits[-1]), "")

    await tampering(ledger_harness)

    last_valid_seq, expected = TAMPERINGS[tampering]
    for events in (ledger_stores.events, (await ledger_harness.open()).events):
        head, problem = await verify_links(events)
        assert head.seq == last_valid_seq
        assert expected in problem


async def test_row_45_a_cut_tail_shows_against_a_remembered_head_only(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """The rest is a valid chain, only shorter than the remembered head."""
    commits = await append_commits(ledger_stores.events, 5)
    remembered = await ledger_stores.events.head()

    await ledger_harness.cut_tail(3, newest=5)

    assert await verify_links(ledger_stores.events) == (head_of(commits[2]), "")
    assert (await ledger_stores.events.head()).seq < remembered.seq


async def test_a_rewritten_tail_shows_against_a_remembered_head_only(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """New hashes make a valid chain with another head."""
    await append_commits(ledger_stores.events, 3)
    remembered = await ledger_stores.events.head()

    await ledger_harness.edit_document(2, raise_amount_and_hash)
    forged = await ledger_harness.load_document(2)
    await ledger_harness.edit_document(
        3, lambda document: document.update(prev_hash=forged["hash"])
    )
    await ledger_harness.edit_document(3, raise_amount_and_hash)

    head, problem = await verify_links(ledger_stores.events)
    assert problem == ""
    assert head.seq == remembered.seq
    assert head.hash != remembered.hash
