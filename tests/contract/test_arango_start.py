"""What the start requires of an ArangoDB: schema, replication and permissions."""

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
from tests.time_limits import TIMEOUT_S

__all__ = ["double"]

NAMES = sorted(plan.name for plan in COLLECTIONS)
COLLECTION = "/_api/collection"


async def start(double: ArangoDouble, **options: Any) -> None:
    password = options.pop("password", PASSWORD)
    defaults: dict[str, Any] = {
        "user": USER,
        "read_password": lambda: password,
        "database": DATABASE,
    }
    async with connect_arango(double.urls, **(defaults | options)):
        pass


def create_commits(double: ArangoDouble, **options: Any) -> None:
    """Create the database and the collection of commits, with *options*."""
    with connected(double.urls[0]) as system:
        system.create_database(DATABASE)
    with connected(double.urls[0], DATABASE) as database:
        database.create_collection(COMMITS, **({"sync": True} | options))


async def test_the_schema_is_created_once_and_accepted_afterwards(double: ArangoDouble) -> None:
    """Commits are synced to disk and in one shard."""
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
    # The second start wrote nothing.
    assert double.requests.count("POST", COLLECTION) == 0


async def test_instances_that_start_together_share_the_schema(double: ArangoDouble) -> None:
    """Each may get "duplicate name"."""
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(start, double)

    assert sorted(double.store[DATABASE].collections) == ["_graphs", *NAMES]


async def test_a_collection_just_created_by_another_instance_is_accepted(
    double: ArangoDouble,
) -> None:
    """It is not visible at first; then creating it fails as a duplicate."""
    with connected(double.urls[0]) as system:
        system.create_database(DATABASE)
    unseen = double.faults.arm("stale", method="GET", path=f"{COLLECTION}/{COMMITS}")
    with connected(double.urls[0], DATABASE) as database:
        database.create_collection(COMMITS, sync=True)

    await start(double)

    assert unseen.fired == 1
    assert double.requests.count("POST", COLLECTION) == 1 + len(NAMES)


@pytest.mark.parametrize("has_some", [False, True])
async def test_start_waits_until_every_coordinator_sees_the_schema(
    double: ArangoDouble, has_some: bool
) -> None:
    """The second one is stale for three reads: it lacks the database, or most collections."""
    if has_some:
        create_commits(double)
    stale = double.faults.arm("stale", method="GET", path=COLLECTION, coordinator=1, times=3)

    async with connected_store(double) as harness:
        assert stale.fired == 3
        commit = make_commit()
        assert await harness.events.append(commit) == Appended(commit)


async def test_start_fails_when_a_coordinator_never_sees_the_schema(double: ArangoDouble) -> None:
    """Otherwise every second call would fail."""
    stale = double.faults.arm("stale", method="GET", path=COLLECTION, coordinator=1, times=None)

    with pytest.raises(StoreUnavailableError, match="404/1228"):
        await start(double, timeouts=SHORT_TIMEOUTS)

    assert stale.fired


async def test_a_coordinator_that_is_down_is_not_waited_for(double: ArangoDouble) -> None:
    for coordinator in (0, 1):
        double.take_down(coordinator)
        await start(double)
        double.bring_up(coordinator)
        assert double.downs(coordinator) == 1


async def test_start_raises_store_unavailable_while_the_store_is_down(double: ArangoDouble) -> None:
    """It is not a configuration error."""
    double.take_down(0)
    double.take_down(1)

    with pytest.raises(StoreUnavailableError, match="is unreachable"):
        await start(double, timeouts=SHORT_TIMEOUTS)


async def test_a_service_may_start_before_its_store(double: ArangoDouble) -> None:
    """Calls fail until the store is up; the first one then creates the schema."""
    double.take_down(0)
    double.take_down(1)
    async with connect_arango(
        double.urls,
        user=USER,
        read_password=lambda: PASSWORD,
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


async def test_a_wrong_password_found_after_the_start_is_an_unavailable_store(
    double: ArangoDouble,
) -> None:
    """A service that runs without its store goes on, and works once the password is right."""
    double.take_down(0)
    double.take_down(1)
    passwords = ["wrong"]
    async with connect_arango(
        double.urls,
        user=USER,
        read_password=lambda: passwords[0],
        database=DATABASE,
        timeouts=SHORT_TIMEOUTS,
        allow_unavailable=True,
    ) as arango:
        double.bring_up(0)
        double.bring_up(1)
        events = ArangoEventStore(arango, LEDGER)
        with pytest.raises(StoreUnavailableError, match="S1_DB_ARANGO_PASS"):
            await events.head()

        passwords[0] = PASSWORD
        commit = make_commit()

        assert await events.append(commit) == Appended(commit)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sync": False}, "waitForSync is False, expected True"),
        ({"shard_count": 3}, "numberOfShards is 3, expected 1"),
        (
            {"key_generator": "autoincrement"},
            "keyOptions.type is autoincrement, expected traditional",
        ),
        ({"user_keys": False}, "keyOptions.allowUserKeys is False, expected True"),
    ],
)
async def test_a_collection_with_other_properties_is_refused(
    double: ArangoDouble, options: dict[str, Any], expected: str
) -> None:
    """The error names the property, its value and the expected one; nothing is changed."""
    create_commits(double, **options)
    before = dict(double.store[DATABASE][COMMITS].properties)

    with pytest.raises(ConfigurationError, match=f"{COMMITS} .*{DATABASE}: {expected}"):
        await start(double)

    assert double.store[DATABASE][COMMITS].properties == before


@pytest.mark.parametrize(
    ("replication", "expected"),
    [
        (Replication(replication_factor=3), "replicationFactor is 2, expected at least 3"),
        (Replication(write_concern=2), "writeConcern is 1, expected at least 2"),
    ],
)
async def test_a_replication_below_the_required_minimum_is_refused(
    double: ArangoDouble, replication: Replication, expected: str
) -> None:
    """More is accepted."""
    create_commits(double, replication_factor=2, write_concern=1)

    with pytest.raises(ConfigurationError, match=expected):
        await start(double, replication=replication)

    await start(double, replication=Replication(1, 1))


async def test_a_new_database_has_the_required_replication(double: ArangoDouble) -> None:
    """So do its collections."""
    await start(double, replication=Replication(3, 2))

    for name in NAMES:
        properties = double.store[DATABASE][name].properties
        assert (properties["replicationFactor"], properties["writeConcern"]) == (3, 2)


async def test_an_index_with_other_fields_is_refused(double: ArangoDouble) -> None:
    """Without `unique` a commit could be written twice."""
    create_commits(double)
    with connected(double.urls[0], DATABASE) as database:
        not_unique = {"type": "persistent", "name": "commit_id", "fields": ["ledger", "commit_id"]}
        database.collection(COMMITS).add_index(not_unique)

    with pytest.raises(
        ConfigurationError,
        match=r"the index commit_id is .*expected a unique index on ledger, commit_id",
    ):
        await start(double)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"password": "wrong"}, "401/11"),
        ({"user": "nobody"}, "401/11"),
        ({"user": "guest", "password": "g"}, "401/11"),
        ({"user": "reader", "password": "r"}, "403/11"),
    ],
)
async def test_a_user_without_write_permission_is_refused_at_start(
    double: ArangoDouble, options: dict[str, str], expected: str
) -> None:
    """Before the first transfer; the error does not show the password."""
    await start(double)
    double.access.add_user("guest", "g", {"elsewhere": "rw"})
    double.access.add_user("reader", "r", {DATABASE: "ro"})

    with pytest.raises(ConfigurationError, match=f"{expected}.*S1_DB_ARANGO_USER") as caught:
        await start(double, **options)

    assert options.get("password", PASSWORD) not in str(caught.value).split()


async def test_read_only_access_needs_no_write_permission(double: ArangoDouble) -> None:
    """It creates nothing."""
    double.access.add_user("reader", "r", {"*": "ro"})
    read_only = {"user": "reader", "password": "r", "read_only": True}

    with pytest.raises(ConfigurationError, match="chimera-s1 serve"):
        await start(double, **read_only)
    assert DATABASE not in double.store.databases

    await start(double)
    await start(double, **read_only)


async def test_the_database_of_an_older_service_may_be_read(double: ArangoDouble) -> None:
    """It lacks the collections that came later, which only `serve` creates."""
    await start(double)
    collections = double.store[DATABASE].collections
    later = [plan.name for plan in COLLECTIONS if plan.is_new]
    for name in later:
        del collections[name]

    await start(double, read_only=True)
    assert not set(later) & set(collections)
    await start(double)
    assert set(later) <= set(collections)
