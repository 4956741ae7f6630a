"""A ledger in the ArangoDB double, and what the double can do to it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore
from chimera_s1.adapters.arango.database import Arango, connect_arango
from chimera_s1.adapters.arango.event_store import ArangoEventStore
from chimera_s1.adapters.arango.layout import COMMITS
from chimera_s1.adapters.arango.retrying_requests import Patience
from chimera_s1.domain.ledger.commit import Commit, Head, seal
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import COMMIT, DATABASE
from tests.contract.ledger_commits import LEDGER, draft_of

__all__ = ["COMMIT", "SHORT", "StoreRig", "connected_to", "double", "next_commit", "rig"]

USER = "chimera"
PASSWORD = "pässwörd of the ledger"
SHORT = Patience(budget_s=0.6, read_s=0.2, connect_s=0.2)
"""For what is to fail at its end."""


class StoreRig:
    """What a test of faults holds in its hands."""

    def __init__(self, double: ArangoDouble, arango: Arango) -> None:
        self.double = double
        self.arango = arango
        self.events = ArangoEventStore(arango, LEDGER)
        self.cursors = ArangoCursorStore(arango)

    def stored(self) -> list[str]:
        """Ids of the commits that are there, by place."""
        return [str(each["commit_id"]) for each in self.double.documents(DATABASE, COMMITS).all()]

    def posts(self, coordinator: int | None = None) -> int:
        """How often a commit was offered to the server."""
        return self.double.requests.count("POST", COMMIT, coordinator)


def next_commit(head: Head | None = None) -> Commit:
    """A commit like no other, after *head*."""
    return seal(draft_of("transfer/a"), LEDGER, head or Head(), {})


@asynccontextmanager
async def connected_to(
    double: ArangoDouble, patience: Patience | None = None, *, commands: int = 8
) -> AsyncIterator[StoreRig]:
    """Connected as the ledger's user."""
    async with connect_arango(
        double.urls,
        user=USER,
        password=PASSWORD,
        database=DATABASE,
        patience=patience,
        commands=commands,
    ) as arango:
        double.requests.clear()
        yield StoreRig(double, arango)


@pytest.fixture
def double() -> Iterator[ArangoDouble]:
    """Of two coordinators; whatever it was asked, it knew."""
    with arango_double(coordinators=2) as double:
        double.access.add_user(USER, PASSWORD, {"*": "rw"})
        yield double
        assert not double.unknown


@pytest.fixture
async def rig(double: ArangoDouble) -> AsyncIterator[StoreRig]:
    async with connected_to(double) as rig:
        yield rig
