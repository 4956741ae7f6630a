"""Database, collections and indexes: made where they are missing, checked where they are there.

Made through one coordinator, and waited for at each of the others, which learn of them later.
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

_SendOnce: TypeAlias = Callable[[Request], CoordinatorReply]


class Replication(Struct, frozen=True):
    """What the cluster must promise at least; None asks for nothing.

    Attributes:
        replication_factor: How many servers keep each document.

        write_concern: How many of them a write needs.
    """

    replication_factor: int | None = None
    write_concern: int | None = None

    def options(self) -> dict[str, int]:
        """What is asked for, by ArangoDB's names."""
        both = {"replicationFactor": self.replication_factor, "writeConcern": self.write_concern}
        return {name: number for name, number in both.items() if number is not None}


class _KeyOptions(Struct, frozen=True, rename="camel"):
    type: str
    allow_user_keys: bool


class _Properties(Struct, frozen=True, rename="camel"):
    # A single server says nothing of shards and copies.
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


class _Index(Struct, frozen=True):
    name: str
    type: str
    fields: tuple[object, ...] = ()
    unique: bool = False


class _Indexes(Struct, frozen=True):
    indexes: tuple[_Index, ...]


def create_schema(database: str, replication: Replication, requests: RetryingRequests) -> None:
    """Make what is missing; see that everything is as it has to be, and that this user may write
    it.

    Args:
        database: Its name.

        replication: How many there must be.

        requests: Asks.

    Raises:
        ConfigurationError: Something is not.

        StoreUnavailableError: The store does not answer.
    """
    with _advice_at_start(database):
        requests.retry(partial(_create_missing, database, replication, requests))
        for coordinator in requests.coordinators:
            requests.retry(partial(_wait_until_visible, requests, coordinator))


def check_schema(database: str, replication: Replication, requests: RetryingRequests) -> None:
    """See that everything is there and as it has to be, for who only reads; raises as `prepare`."""
    with _advice_at_start(database):
        for plan in COLLECTIONS:
            properties = requests.retry(partial(_properties, plan, requests.send_once))
            _check_drift(database, plan, replication, properties)


@contextmanager
def _advice_at_start(database: str) -> Iterator[None]:
    try:
        yield
    except RequestRejectedError as refusal:
        what = f"ArangoDB at {refusal.coordinator} {refusal.description}"
        if refusal.schema_missing:
            raise ConfigurationError(
                f"{what}: the database {database} is not there yet or not complete; start "
                "chimera-s1 serve once, or set S1_DB_ARANGO_DATABASE to another one"
            ) from refusal
        raise ConfigurationError(f"{what}; {advice(refusal)}") from refusal


def _create_missing(database: str, replication: Replication, requests: RetryingRequests) -> None:
    coordinator = requests.pick_coordinator()
    send_once: _SendOnce = partial(requests.send_once, at=coordinator)
    one_shard = (
        _find_or_create_database(database, replication, requests, coordinator).sharding
        == _ONE_SHARD
    )
    for plan in COLLECTIONS:
        _check_drift(
            database,
            plan,
            replication,
            _find_or_create_collection(
                plan, replication, requests, coordinator, one_shard=one_shard
            ),
        )
        _create_missing_indexes(database, plan, send_once)
        _check_write_permission(plan, send_once)


def _find_or_create_database(
    database: str, replication: Replication, requests: RetryingRequests, coordinator: Coordinator
) -> _Database:
    try:
        return requests.send_once(_CURRENT_DATABASE, coordinator).decode(_Current).database
    except RequestRejectedError as refusal:
        if not refusal.schema_missing:
            raise
    options = {"sharding": _ONE_SHARD, **replication.options()}
    wanted = {"name": database, "options": options}
    _tolerate_duplicate(
        Request("post", "/_api/database", body=wanted, on_system_database=True),
        partial(requests.send_once, at=coordinator),
    )
    return _send_until_visible(_CURRENT_DATABASE, requests, coordinator).decode(_Current).database


def _find_or_create_collection(
    plan: CollectionPlan,
    replication: Replication,
    requests: RetryingRequests,
    coordinator: Coordinator,
    *,
    one_shard: bool,
) -> _Properties:
    once: _SendOnce = partial(requests.send_once, at=coordinator)
    try:
        return _properties(plan, once)
    except RequestRejectedError as refusal:
        if not refusal.schema_missing:
            raise
    wanted: dict[str, object] = {
        "name": plan.name,
        "type": _DOCUMENT_COLLECTION,
        "waitForSync": plan.waits_for_sync,
        "keyOptions": {"type": _KEYS, "allowUserKeys": True},
        **replication.options(),
    }
    if one_shard:
        # Shards and copies are the database's.
        wanted.pop("replicationFactor", None)
    else:
        wanted["numberOfShards"] = 1
    _tolerate_duplicate(Request("post", "/_api/collection", body=wanted), once)
    return _send_until_visible(_properties_of(plan), requests, coordinator).decode(_Properties)


def _tolerate_duplicate(request: Request, send_once: _SendOnce) -> None:
    try:
        send_once(request)
    except RequestRejectedError as refusal:
        # Another instance starts too.
        if refusal.number != _DUPLICATE_NAME:
            raise


def _properties_of(plan: CollectionPlan) -> Request:
    return Request("get", f"/_api/collection/{plan.name}/properties")


def _properties(plan: CollectionPlan, send_once: _SendOnce) -> _Properties:
    return send_once(_properties_of(plan)).decode(_Properties)


def _send_until_visible(
    request: Request, requests: RetryingRequests, coordinator: Coordinator
) -> CoordinatorReply:
    """The answer to *request*, as soon as *coordinator* knows of the place it is about."""
    while True:
        try:
            return requests.send_once(request, coordinator)
        except RequestRejectedError as refusal:
            if not refusal.schema_missing:
                raise
            requests.back_off(refusal)


def _wait_until_visible(requests: RetryingRequests, coordinator: Coordinator) -> None:
    try:
        for plan in COLLECTIONS:
            _send_until_visible(_properties_of(plan), requests, coordinator)
    except ArangoRequestError as fault:
        # One that is not in service learns of them before it is.
        if not is_coordinator_unavailable(fault):
            raise


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
    for name, is_, wanted in required:
        if is_ != wanted:
            raise _drift_error(database, plan, name, is_, wanted)
    promised = {
        "replicationFactor": found.replication_factor,
        "writeConcern": found.write_concern,
    }
    for name, least in replication.options().items():
        number = promised[name]
        if isinstance(number, int) and number < least:
            raise _drift_error(database, plan, name, number, f"at least {least}")


def _drift_error(
    database: str, plan: CollectionPlan, name: str, found: object, wanted: object
) -> ConfigurationError:
    return ConfigurationError(
        f"{plan.name} in the ArangoDB database {database}: {name} is {found}, and {wanted} is "
        "wanted; change it there, or move the collection away, so that it is made anew"
    )


def _create_missing_indexes(database: str, plan: CollectionPlan, send_once: _SendOnce) -> None:
    there = (
        send_once(Request("get", "/_api/index", {"collection": plan.name})).decode(_Indexes).indexes
    )
    found = {index.name: index for index in there}
    for index in plan.indexes:
        if index.name not in found:
            send_once(Request("post", "/_api/index", {"collection": plan.name}, _index_body(index)))
            continue
        found_index = found[index.name]
        if (found_index.fields, found_index.unique) != (index.fields, index.unique):
            kind = "a unique one" if index.unique else "one"
            over = ", ".join(index.fields)
            raise _drift_error(
                database, plan, f"the index {index.name}", found_index, f"{kind} over {over}"
            )


def _index_body(index: IndexPlan) -> dict[str, object]:
    return {
        "type": "persistent",
        "name": index.name,
        "fields": index.fields,
        "unique": index.unique,
        "sparse": False,
    }


def _check_write_permission(plan: CollectionPlan, send_once: _SendOnce) -> None:
    """Change nothing in a document that nobody has: who may not write is told so first."""
    try:
        send_once(Request("patch", f"/_api/document/{plan.name}/rights", body={}))
    except RequestRejectedError as refusal:
        if not refusal.document_missing:
            raise
