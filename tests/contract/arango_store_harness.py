"""A ledger in the ArangoDB double."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore
from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from chimera_s1.adapters.arango.event_store import ArangoEventStore
from chimera_s1.adapters.arango.layout import COMMITS
from chimera_s1.adapters.arango.retrying_requests import ArangoTimeouts
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, seal
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import COMMITS_PATH, DATABASE
from tests.contract.ledger_commits import LEDGER, make_draft

__all__ = [
    "COMMITS_PATH",
    "SHORT_TIMEOUTS",
    "ArangoStoreHarness",
    "connected_store",
    "double",
    "make_commit",
    "store_harness",
]

USER = "chimera"
PASSWORD = "pässwörd of the ledger"
SHORT_TIMEOUTS = ArangoTimeouts(total_s=2.0, read_s=0.4, connect_s=0.4)
"""For tests in which the deadline passes."""


class ArangoStoreHarness:
    def __init__(self, double: ArangoDouble, arango: ArangoDatabase) -> None:
        self.double = double
        self.arango = arango
        self.events = ArangoEventStore(arango, LEDGER)
        self.cursors = ArangoCursorStore(arango)

    def stored_commit_ids(self) -> list[str]:
        """In the order of seq."""
        return [str(each["commit_id"]) for each in self.double.documents(DATABASE, COMMITS).all()]

    def post_count(self, coordinator: int | None = None) -> int:
        """How many inserts of commits reached the server."""
        return self.double.requests.count("POST", COMMITS_PATH, coordinator)


def make_commit(head: LedgerHead | None = None) -> Commit:
    """A new commit after *head*."""
    return seal(make_draft("transfer/a"), LEDGER, head or LedgerHead(), {})


@asynccontextmanager
async def connected_store(
    double: ArangoDouble, timeouts: ArangoTimeouts | None = None, *, commands_max: int = 8
) -> AsyncIterator[ArangoStoreHarness]:
    async with connect_arango(
        double.urls,
        user=USER,
        read_password=lambda: PASSWORD,
        database=DATABASE,
        timeouts=timeouts,
        commands_max=commands_max,
    ) as arango:
        double.requests.clear()
        yield ArangoStoreHarness(double, arango)


@pytest.fixture
def double() -> Iterator[ArangoDouble]:
    """Two coordinators; fails the test if it received an unknown request."""
    with arango_double(coordinators=2) as double:
        double.access.add_user(USER, PASSWORD, {"*": "rw"})
        yield double
        assert not double.unknown


@pytest.fixture
async def store_harness(double: ArangoDouble) -> AsyncIterator[ArangoStoreHarness]:
    async with connected_store(double) as harness:
        yield harness
