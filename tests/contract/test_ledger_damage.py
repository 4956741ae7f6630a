"""A commit that cannot be decoded is damage wherever it is met, in every store."""

from collections.abc import Awaitable, Callable

import pytest

from chimera_s1.app.capabilities.ledger.engine import Decision, LedgerEngine
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import Commit, Document, NewEvent
from tests.contract.ledger_commits import append_commits
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet
from tests.fakes.manual_clock import ManualClock


def make_engine(stores: StoreSet) -> LedgerEngine:
    def fold(commit: Commit) -> None:
        del commit

    return LedgerEngine(
        stores.events, fold, clock=ManualClock(), new_id=lambda: "new", draw=lambda: 0.0
    )


def break_document(document: Document) -> None:
    document["events"] = "none"


async def append_one(engine: LedgerEngine) -> None:
    async def decide() -> Decision[None]:
        return Decision(None, (NewEvent("s", "kind", 1, {}),))

    await engine.execute(decide, "tester")


CALLS: dict[str, Callable[[LedgerEngine], Awaitable[object]]] = {
    "catch up": LedgerEngine.catch_up,
    "append": append_one,
    "a reader's head": lambda engine: engine.store.head(),
    "a reader's page": lambda engine: engine.store.read(0, 10),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("folded", [0, 2, 3])
async def test_the_newest_commit_cannot_be_decoded(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet, call: str, folded: int
) -> None:
    """At the start of a process, in a commit of another instance, and in one that was folded."""
    await append_commits(ledger_stores.events, folded)
    engine = make_engine(ledger_stores)
    await engine.catch_up()
    await append_commits(ledger_stores.events, 3 - folded)
    await ledger_harness.edit_document(3, break_document)

    with pytest.raises(LedgerDamagedError, match="commit 3 "):
        await CALLS[call](engine)

    assert "commit 3 (main-0000000000000003) cannot be decoded" in engine.damage
    with pytest.raises(LedgerDamagedError, match="commit 3 "):
        await engine.catch_up()


async def test_a_commit_in_the_middle_cannot_be_decoded(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Its stream is read later, by a request for one transfer."""
    commits = await append_commits(ledger_stores.events, 3)
    engine = make_engine(ledger_stores)
    await engine.catch_up()
    await ledger_harness.edit_document(2, break_document)
    assert not engine.damage

    with pytest.raises(LedgerDamagedError, match="commit 2 "):
        await engine.read_stream(commits[1].streams[0])

    assert "commit 2 " in engine.damage
