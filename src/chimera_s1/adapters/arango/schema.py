"""Creates the database, collections and indexes, or checks those that exist.

One coordinator creates them; the start waits until every other one sees them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import Coordinator, CoordinatorReply, Request
from chimera_s1.adapters.arango.errors import (
    ArangoRequestError,
    RequestRejectedError,
    StaleCoordinatorError,
    advice,
    is_coordinator_unavailable,
)
from chimera_s1.adapters.arango.layout import COLLECTIONS, CollectionPlan, IndexPlan
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.errors import ConfigurationError

_DUPLICATE_NAME = 1207
_DOCUMENT_COLLECTION = 2
_KEYS = "traditional"
_ONE_SHARD = "single"
_CURRENT_DATABASE = Request("get", "/_api/database/current")
_COLLECTION_LIST = Request("get", "/_api/collection", {"excludeSystem": "1"})

_SendOnce: TypeAlias = Callable[[Request], CoordinatorReply]


class Replication(Struct, frozen=True):
    """Required minimum; None requires nothing."""

    replication_factor: int | None = None
    write_concern: int | None = None

    def options(self) -> dict[str, int]:
        """By ArangoDB's names."""
        both = {"replicationFactor": self.replication_factor, "writeConcern": self.write_concern}
        return {name: number for name, number in both.items() if number is not None}


class _KeyOptions(Struct, frozen=True, rename="camel"):
    type: str
    allow_user_keys: bool


class _Properties(Struct, frozen=True, rename="camel"):
    # A single server omits shards and replicas.
    type: int
    wait_for_sync: bool
    key_options: _KeyOptions
    number_of_shards: int = 1
    replication_factor: int | str = 1
    write_concern: int = 1


class _Database(Struct, frozen=True):
    sharding: str = ""


class _Current(Struct, frozen=True):
    database: _Database = field(name="result")


class _Named(Struct, frozen=True):
    name: str


class _Collections(Struct, frozen=True):
    collections: tuple[_Named, ...] = field(name="result")


class _Index(Struct, frozen=True):
    name: str
    type: str
    fields: tuple[object, ...] = ()
    unique: bool = False


class _Indexes(Struct, frozen=True):
    indexes: tuple[_Index, ...]


def create_schema(database: str, replication: Replication, requests: RetryingRequests) -> None:
    """Create what is missing, and check the properties and this user's write permission.

    Raises:
        ConfigurationError: The credentials, the permission, a collection or an index is wrong.
        StoreUnavailableError: The store does not reply.
    """
    with _translated_rejections(database):
        requests.retry(partial(_create_missing, database, replication, requests))
        for coordinator in requests.coordinators:
            requests.retry(partial(_wait_until_visible, requests, coordinator))


def check_schema(database: str, replication: Replication, requests: RetryingRequests) -> None:
    """Check the collections for reading; raises as `create_schema`."""
    with _translated_rejections(database):
        for plan in COLLECTIONS:
            properties = requests.retry(partial(_properties_if_any, plan, requests.send_once))
            if properties is not None:
                _check_drift(database, plan, replication, properties)


def check_writable(requests: RetryingRequests) -> None:
    """Raises: ArangoRequestError: A write would fail now."""
    _check_write_permission(COLLECTIONS[0], requests.send)


@contextmanager
def _translated_rejections(database: str) -> Iterator[None]:
    try:
        yield
    except RequestRejectedError as error:
        what = f"ArangoDB at {error.coordinator} {error.description}"
        if error.schema_missing:
            raise ConfigurationError(
                f"{what}: the database {database} does not exist or is incomplete; run "
                "chimera-s1 serve once to create it, or set S1_DB_ARANGO_DATABASE to another one"
            ) from error
        raise ConfigurationError(f"{what}; {advice(error)}") from error


def _create_missing(database: str, replication: Replication, requests: RetryingRequests) -> None:
    coordinator = requests.pick_coordinator()
    send_once: _SendOnce = partial(requests.send_once, at=coordinator)
    found = _find_or_create_database(database, replication, requests, coordinator)
    one_shard = found.sharding == _ONE_SHARD
    for plan in COLLECTIONS:
        properties = _find_or_create_collection(
            plan, replication, requests, coordinator, one_shard=one_shard
        )
        _check_drift(database, plan, replication, properties)
        _create_missing_indexes(database, plan, send_once)
        _check_write_permission(plan, send_once)


def _find_or_create_database(
    database: str, replication: Replication, requests: RetryingRequests, coordinator: Coordinator
) -> _Database:
    try:
        return requests.send_once(_CURRENT_DATABASE, coordinator).decode(_Current).database
    except RequestRejectedError as error:
        if not error.schema_missing:
            raise
    options = {"sharding": _ONE_SHARD, **replication.options()}
    body = {"name": database, "options": options}
    create = Request("post", "/_api/database", body=body, on_system_database=True)
    _tolerate_duplicate(create, partial(requests.send_once, at=coordinator))
    return _send_until_visible(_CURRENT_DATABASE, requests, coordinator).decode(_Current).database


def _find_or_create_collection(
    plan: CollectionPlan,
    replication: Replication,
    requests: RetryingRequests,
    coordinator: Coordinator,
    *,
    one_shard: bool,
) -> _Properties:
    send_once: _SendOnce = partial(requests.send_once, at=coordinator)
    try:
        return _properties(plan, send_once)
    except RequestRejectedError as error:
        if not error.schema_missing:
            raise
    body = _collection_body(plan, replication, one_shard=one_shard)
    _tolerate_duplicate(Request("post", "/_api/collection", body=body), send_once)
    return _send_until_visible(_properties_of(plan), requests, coordinator).decode(_Properties)


def _collection_body(
    plan: CollectionPlan, replication: Replication, *, one_shard: bool
) -> dict[str, object]:
    body: dict[str, object] = {
        "name": plan.name,
        "type": _DOCUMENT_COLLECTION,
        "waitForSync": plan.waits_for_sync,
        "keyOptions": {"type": _KEYS, "allowUserKeys": True},
        **replication.options(),
    }
    if one_shard:
        # The database decides shards and replicas.
        body.pop("replicationFactor", None)
    else:
        body["numberOfShards"] = 1
    return body


def _tolerate_duplicate(request: Request, send_once: _SendOnce) -> None:
    try:
        send_once(request)
    except RequestRejectedError as error:
        # Another instance may start at the same time.
        if error.number != _DUPLICATE_NAME:
            raise


def _properties_of(plan: CollectionPlan) -> Request:
    return Request("get", f"/_api/collection/{plan.name}/properties")


def _properties(plan: CollectionPlan, send_once: _SendOnce) -> _Properties:
    return send_once(_properties_of(plan)).decode(_Properties)


def _properties_if_any(plan: CollectionPlan, send_once: _SendOnce) -> _Properties | None:
    """None for a collection that an older service does not write."""
    try:
        return _properties(plan, send_once)
    except RequestRejectedError as error:
        if plan.is_new and error.collection_missing:
            return None
        raise


def _send_until_visible(
    request: Request, requests: RetryingRequests, coordinator: Coordinator
) -> CoordinatorReply:
    """Retry until *coordinator* sees the database or collection of *request*."""
    while True:
        try:
            return requests.send_once(request, coordinator)
        except RequestRejectedError as error:
            if not error.schema_missing:
                raise
            requests.back_off(error)


def _wait_until_visible(requests: RetryingRequests, coordinator: Coordinator) -> None:
    names = {plan.name for plan in COLLECTIONS}
    try:
        while missing := names - _visible_collections(requests, coordinator):
            text = f"does not show {', '.join(sorted(missing))} yet"
            requests.back_off(StaleCoordinatorError(text, coordinator.url))
    except ArangoRequestError as error:
        # One that is down loads the current schema before it serves again.
        if not is_coordinator_unavailable(error):
            raise


def _visible_collections(requests: RetryingRequests, coordinator: Coordinator) -> set[str]:
    reply = _send_until_visible(_COLLECTION_LIST, requests, coordinator)
    return {each.name for each in reply.decode(_Collections).collections}


def _check_drift(
    database: str, plan: CollectionPlan, replication: Replication, found: _Properties
) -> None:
    required: list[tuple[str, object, object]] = [
        ("type", found.type, _DOCUMENT_COLLECTION),
        ("keyOptions.type", found.key_options.type, _KEYS),
        ("keyOptions.allowUserKeys", found.key_options.allow_user_keys, True),
        ("numberOfShards", found.number_of_shards, 1),
    ]
    if plan.waits_for_sync:
        required.append(("waitForSync", found.wait_for_sync, True))
    for name, value, expected in required:
        if value != expected:
            raise _drift_error(database, plan, name, value, expected)
    actual = {
        "replicationFactor": found.replication_factor,
        "writeConcern": found.write_concern,
    }
    for name, minimum in replication.options().items():
        # A replicationFactor may also be "satellite".
        count = actual[name]
        if isinstance(count, int) and count < minimum:
            raise _drift_error(database, plan, name, count, f"at least {minimum}")


def _drift_error(
    database: str, plan: CollectionPlan, name: str, found: object, expected: object
) -> ConfigurationError:
    return ConfigurationError(
        f"{plan.name} in the ArangoDB database {database}: {name} is {found}, expected {expected}; "
        "correct it, or rename the collection so that it is created again"
    )


def _create_missing_indexes(database: str, plan: CollectionPlan, send_once: _SendOnce) -> None:
    if not plan.indexes:
        return
    reply = send_once(Request("get", "/_api/index", {"collection": plan.name}))
    existing = {index.name: index for index in reply.decode(_Indexes).indexes}
    for index in plan.indexes:
        if index.name in existing:
            _check_index(database, plan, index, existing[index.name])
        else:
            send_once(Request("post", "/_api/index", {"collection": plan.name}, _index_body(index)))


def _check_index(database: str, plan: CollectionPlan, index: IndexPlan, existing: _Index) -> None:
    if (existing.fields, existing.unique) != (index.fields, index.unique):
        kind = "a unique index" if index.unique else "an index"
        expected = f"{kind} on {', '.join(index.fields)}"
        raise _drift_error(database, plan, f"the index {index.name}", existing, expected)


def _index_body(index: IndexPlan) -> dict[str, object]:
    return {
        "type": "persistent",
        "name": index.name,
        "fields": index.fields,
        "unique": index.unique,
        "sparse": False,
    }


def _check_write_permission(plan: CollectionPlan, send_once: _SendOnce) -> None:
    """Update a missing document: the server checks the permission before it looks for the key."""
    try:
        send_once(Request("patch", f"/_api/document/{plan.name}/rights", body={}))
    except RequestRejectedError as error:
        if not error.document_missing:
            raise
