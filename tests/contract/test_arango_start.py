"""What an ArangoDB must be like before a ledger is kept in it."""

from typing import Any

import anyio
import pytest

from chimera_s1.adapters.arango.database import connect_arango
from chimera_s1.adapters.arango.event_store import ArangoEventStore
from chimera_s1.adapters.arango.layout import COLLECTIONS, COMMITS, TRANSFERS
from chimera_s1.adapters.arango.schema import Replication
from chimera_s1.domain.errors import ConfigurationError, StoreUnavailableError
from chimera_s1.domain.ports.event_store import Appended
from tests.arango_double import ArangoDouble
from tests.contract.arango_ledger_harness import DATABASE
from tests.contract.arango_store_harness import (
    PASSWORD,
    SHORT_TIMEOUTS,
    USER,
    connected_store,
    double,
    make_commit,
)
from tests.contract.ledger_commits import LEDGER
from tests.contract.python_arango import connected

__all__ = ["double"]

NAMES = sorted(plan.name for plan in COLLECTIONS)
COLLECTION = "/_api/collection"


async def start(double: ArangoDouble, **options: Any) -> None:
    access: dict[str, Any] = {
        "user": USER,
        "password": PASSWORD,
        "database": DATABASE,
        "patience": SHORT_TIMEOUTS,
    }
    async with connect_arango(double.urls, **(access | options)):
        pass


def made(double: ArangoDouble, **options: Any) -> None:
    """Make the database, and in it the collection of commits, as somebody else would."""
    with connected(double.urls[0]) as system:
        system.create_database(DATABASE)
    with connected(double.urls[0], DATABASE) as database:
        database.create_collection(COMMITS, **({"sync": True} | options))


async def test_everything_is_made_once_and_found_again(double: ArangoDouble) -> None:
    """Commits wait for the disk, and are on one server whatever the cluster."""
    for _ in range(2):
        async with connected_store(double):
            pass

    database = double.store[DATABASE]
    assert sorted(name for name in database.collections if name != "_graphs") == NAMES
    assert database.options["sharding"] == "single"
    assert database[COMMITS].properties["waitForSync"] is True
    assert {name: each.unique for name, each in database[COMMITS].indexes.items()} == {
        "commit_id": True,
        "stream": False,
    }
    assert sorted(database[TRANSFERS].indexes) == ["place", "status"]
    # The second start has written nothing.
    assert double.requests.count("POST", COLLECTION) == 0


async def test_instances_that_start_at_once_share_it(double: ArangoDouble) -> None:
    """Each may be told that the other has made it."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(start, double)

    assert sorted(double.store[DATABASE].collections) == ["_graphs", *NAMES]


async def test_what_another_instance_has_just_made_is_read_back(double: ArangoDouble) -> None:
    """The collection was not to be seen, and then it is a duplicate."""
    with connected(double.urls[0]) as system:
        system.create_database(DATABASE)
    place = f"{COLLECTION}/{COMMITS}"
    unseen = double.faults.arm("stale", method="GET", path=place)
    with connected(double.urls[0], DATABASE) as database:
        database.create_collection(COMMITS, sync=True)

    await start(double)

    assert unseen.fired == 1
    assert double.requests.count("POST", COLLECTION) == 1 + len(NAMES)


async def test_each_coordinator_has_to_know_it_first(double: ArangoDouble) -> None:
    """The second one lags; the start waits until it does not."""
    lagging = double.faults.arm("stale", method="GET", path=COLLECTION, coordinator=1, times=3)

    async with connected_store(double) as rig:
        assert lagging.fired == 3
        commit = make_commit()
        assert await rig.events.append(commit) == Appended(commit)


async def test_one_that_never_learns_of_it_ends_the_start(double: ArangoDouble) -> None:
    """Rather than that every second call would fail."""
    lagging = double.faults.arm("stale", method="GET", path=COLLECTION, coordinator=1, times=None)

    with pytest.raises(StoreUnavailableError, match="404/1228"):
        await start(double)

    assert lagging.fired > 1


async def test_a_coordinator_that_is_down_is_not_waited_for(double: ArangoDouble) -> None:
    """Whichever it is."""
    for number in (0, 1):
        double.take_down(number)
        await start(double)
        double.bring_up(number)
        assert double.downs(number) == 1


async def test_a_store_that_is_down_at_the_start_is_said_to_be_down(double: ArangoDouble) -> None:
    """That is no mistake in the settings."""
    double.take_down(0)
    double.take_down(1)

    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        await start(double)


async def test_a_service_may_start_before_its_store(double: ArangoDouble) -> None:
    """Its calls fail until the store is there; the first one then makes what is missing."""
    double.take_down(0)
    double.take_down(1)
    async with connect_arango(
        double.urls,
        user=USER,
        password=PASSWORD,
        database=DATABASE,
        timeouts=SHORT_TIMEOUTS,
        allow_unavailable=True,
    ) as arango:
        events = ArangoEventStore(arango, LEDGER)
        with pytest.raises(StoreUnavailableError):
            await events.head()
        double.bring_up(0)
        double.bring_up(1)

        commit = make_commit()

        assert await events.append(commit) == Appended(commit)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sync": False}, "waitForSync is False, and True is wanted"),
        ({"shard_count": 3}, "numberOfShards is 3, and 1 is wanted"),
        (
            {"key_generator": "autoincrement"},
            "keyOptions.type is autoincrement, and traditional is wanted",
        ),
        ({"user_keys": False}, "keyOptions.allowUserKeys is False, and True is wanted"),
    ],
)
async def test_a_collection_that_is_otherwise_is_refused(
    double: ArangoDouble, options: dict[str, Any], said: str
) -> None:
    """With its name, what it is and what is wanted; it is left as it is."""
    made(double, **options)
    before = dict(double.store[DATABASE][COMMITS].properties)

    with pytest.raises(ConfigurationError, match=f"{COMMITS} .*{DATABASE}: {said}"):
        await start(double)

    assert double.store[DATABASE][COMMITS].properties == before


@pytest.mark.parametrize(
    ("copies", "said"),
    [
        (Replication(replication_factor=3), "replicationFactor is 2, and at least 3 is wanted"),
        (Replication(write_concern=2), "writeConcern is 1, and at least 2 is wanted"),
    ],
)
async def test_fewer_copies_than_asked_for_are_refused(
    double: ArangoDouble, copies: Replication, said: str
) -> None:
    """More are not."""
    made(double, replication_factor=2, write_concern=1)

    with pytest.raises(ConfigurationError, match=said):
        await start(double, copies=copies)

    await start(double, copies=Replication(1, 1))


async def test_a_new_database_has_the_copies_asked_for(double: ArangoDouble) -> None:
    """So have its collections."""
    await start(double, copies=Replication(3, 2))

    for name in NAMES:
        properties = double.store[DATABASE][name].properties
        assert (properties["replicationFactor"], properties["writeConcern"]) == (3, 2)


async def test_an_index_that_is_otherwise_is_refused(double: ArangoDouble) -> None:
    """One that lets a commit be written twice is none."""
    made(double)
    with connected(double.urls[0], DATABASE) as database:
        loose = {"type": "persistent", "name": "commit_id", "fields": ["ledger", "commit_id"]}
        database.collection(COMMITS).add_index(loose)

    with pytest.raises(ConfigurationError, match=r"the index commit_id is .*unique"):
        await start(double)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password": "wrong"}, "401/11"),
        ({"user": "nobody"}, "401/11"),
        ({"user": "guest", "password": "g"}, "401/11"),
        ({"user": "reader", "password": "r"}, "403/11"),
    ],
)
async def test_who_may_not_write_is_refused(
    double: ArangoDouble, options: dict[str, str], said: str
) -> None:
    """At the start, and not at the first transfer; the text has no password."""
    await start(double)
    double.access.add_user("guest", "g", {"elsewhere": "rw"})
    double.access.add_user("reader", "r", {DATABASE: "ro"})

    with pytest.raises(ConfigurationError, match=f"{said}.*S1_DB_ARANGO_USER") as caught:
        await start(double, **options)

    assert options.get("password", PASSWORD) not in str(caught.value).split()


async def test_who_only_looks_needs_no_more_than_that(double: ArangoDouble) -> None:
    """And makes nothing."""
    double.access.add_user("reader", "r", {"*": "ro"})
    looking = {"user": "reader", "password": "r", "read_only": True}

    with pytest.raises(ConfigurationError, match="chimera-s1 serve"):
        await start(double, **looking)
    assert DATABASE not in double.store.databases

    await start(double)
    await start(double, **looking)
