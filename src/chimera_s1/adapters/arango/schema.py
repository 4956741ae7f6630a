"""Database, collections and indexes: made where they are missing, checked where they are there.

Made through one coordinator, and waited for at each of the others, which learn of them later.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import Asked, Coordinator, Reply
from chimera_s1.adapters.arango.errors import ArangoFault, RefusedError, advice, unfit
from chimera_s1.adapters.arango.layout import COLLECTIONS, CollectionPlan, IndexPlan
from chimera_s1.adapters.arango.retrying_requests import Errand
from chimera_s1.domain.errors import ConfigurationError

_DUPLICATE_NAME = 1207
_DOCUMENTS = 2
_KEYS = "traditional"
_ONE_SHARD = "single"
_CURRENT = Asked("get", "/_api/database/current")

_Once: TypeAlias = Callable[[Asked], Reply]


class Copies(Struct, frozen=True):
    """What the cluster must promise at least; None asks for nothing.

    Attributes:
        replication_factor: How many servers keep each document.

        write_concern: How many of them a write needs.
    """

    replication_factor: int | None = None
    write_concern: int | None = None

    def wanted(self) -> dict[str, int]:
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


def prepare(database: str, copies: Copies, errand: Errand) -> None:
    """Make what is missing; see that everything is as it has to be, and that this user may write
    it.

    Args:
        database: Its name.

        copies: How many there must be.

        errand: Asks.

    Raises:
        ConfigurationError: Something is not.

        StoreUnavailableError: The store does not answer.
    """
    with _advice_at_start(database):
        errand.repeat(partial(_make, database, copies, errand))
        for coordinator in errand.coordinators:
            errand.repeat(partial(_wait_until_seen, errand, coordinator))


def check(database: str, copies: Copies, errand: Errand) -> None:
    """See that everything is there and as it has to be, for who only reads; raises as `prepare`."""
    with _advice_at_start(database):
        for plan in COLLECTIONS:
            properties = errand.repeat(partial(_properties, plan, errand.once))
            _refuse_drift(database, plan, copies, properties)


@contextmanager
def _advice_at_start(database: str) -> Iterator[None]:
    try:
        yield
    except RefusedError as refusal:
        what = f"ArangoDB at {refusal.coordinator} {refusal.said}"
        if refusal.no_place:
            raise ConfigurationError(
                f"{what}: the database {database} is not there yet or not complete; start "
                "chimera-s1 serve once, or set S1_DB_ARANGO_DATABASE to another one"
            ) from refusal
        raise ConfigurationError(f"{what}; {advice(refusal)}") from refusal


def _make(database: str, copies: Copies, errand: Errand) -> None:
    home = errand.pick()
    once: _Once = partial(errand.once, at=home)
    one_shard = _make_database(database, copies, errand, home).sharding == _ONE_SHARD
    for plan in COLLECTIONS:
        _refuse_drift(
            database,
            plan,
            copies,
            _make_collection(plan, copies, errand, home, one_shard=one_shard),
        )
        _make_indexes(database, plan, once)
        _check_rights(plan, once)


def _make_database(database: str, copies: Copies, errand: Errand, home: Coordinator) -> _Database:
    try:
        return errand.once(_CURRENT, home).read(_Current).database
    except RefusedError as refusal:
        if not refusal.no_place:
            raise
    options = {"sharding": _ONE_SHARD, **copies.wanted()}
    wanted = {"name": database, "options": options}
    _tolerate_duplicate(
        Asked("post", "/_api/database", body=wanted, system=True), partial(errand.once, at=home)
    )
    return _once_known(_CURRENT, errand, home).read(_Current).database


def _make_collection(
    plan: CollectionPlan, copies: Copies, errand: Errand, home: Coordinator, *, one_shard: bool
) -> _Properties:
    once: _Once = partial(errand.once, at=home)
    try:
        return _properties(plan, once)
    except RefusedError as refusal:
        if not refusal.no_place:
            raise
    wanted: dict[str, object] = {
        "name": plan.name,
        "type": _DOCUMENTS,
        "waitForSync": plan.waits_for_sync,
        "keyOptions": {"type": _KEYS, "allowUserKeys": True},
        **copies.wanted(),
    }
    if one_shard:
        # Shards and copies are the database's.
        wanted.pop("replicationFactor", None)
    else:
        wanted["numberOfShards"] = 1
    _tolerate_duplicate(Asked("post", "/_api/collection", body=wanted), once)
    return _once_known(_properties_of(plan), errand, home).read(_Properties)


def _tolerate_duplicate(asked: Asked, once: _Once) -> None:
    try:
        once(asked)
    except RefusedError as refusal:
        # Another instance starts too.
        if refusal.number != _DUPLICATE_NAME:
            raise


def _properties_of(plan: CollectionPlan) -> Asked:
    return Asked("get", f"/_api/collection/{plan.name}/properties")


def _properties(plan: CollectionPlan, once: _Once) -> _Properties:
    return once(_properties_of(plan)).read(_Properties)


def _once_known(asked: Asked, errand: Errand, at: Coordinator) -> Reply:
    """The answer to *asked*, as soon as *at* knows of the place it is about."""
    while True:
        try:
            return errand.once(asked, at)
        except RefusedError as refusal:
            if not refusal.no_place:
                raise
            errand.pause(refusal)


def _wait_until_seen(errand: Errand, coordinator: Coordinator) -> None:
    try:
        for plan in COLLECTIONS:
            _once_known(_properties_of(plan), errand, coordinator)
    except ArangoFault as fault:
        # One that is not in service learns of them before it is.
        if not unfit(fault):
            raise


def _refuse_drift(database: str, plan: CollectionPlan, copies: Copies, found: _Properties) -> None:
    exactly: list[tuple[str, object, object]] = [
        ("type", found.type, _DOCUMENTS),
        ("keyOptions.type", found.key_options.type, _KEYS),
        ("keyOptions.allowUserKeys", found.key_options.allow_user_keys, True),
        ("numberOfShards", found.number_of_shards, 1),
    ]
    if plan.waits_for_sync:
        exactly.append(("waitForSync", found.wait_for_sync, True))
    for name, is_, wanted in exactly:
        if is_ != wanted:
            raise _drifted(database, plan, name, is_, wanted)
    promised = {
        "replicationFactor": found.replication_factor,
        "writeConcern": found.write_concern,
    }
    for name, least in copies.wanted().items():
        number = promised[name]
        if isinstance(number, int) and number < least:
            raise _drifted(database, plan, name, number, f"at least {least}")


def _drifted(
    database: str, plan: CollectionPlan, name: str, found: object, wanted: object
) -> ConfigurationError:
    return ConfigurationError(
        f"{plan.name} in the ArangoDB database {database}: {name} is {found}, and {wanted} is "
        "wanted; change it there, or move the collection away, so that it is made anew"
    )


def _make_indexes(database: str, plan: CollectionPlan, once: _Once) -> None:
    there = once(Asked("get", "/_api/index", {"collection": plan.name})).read(_Indexes).indexes
    found = {index.name: index for index in there}
    for index in plan.indexes:
        if index.name not in found:
            once(Asked("post", "/_api/index", {"collection": plan.name}, _body(index)))
            continue
        is_ = found[index.name]
        if (is_.fields, is_.unique) != (index.fields, index.unique):
            kind = "a unique one" if index.unique else "one"
            over = ", ".join(index.fields)
            raise _drifted(database, plan, f"the index {index.name}", is_, f"{kind} over {over}")


def _body(index: IndexPlan) -> dict[str, object]:
    return {
        "type": "persistent",
        "name": index.name,
        "fields": index.fields,
        "unique": index.unique,
        "sparse": False,
    }


def _check_rights(plan: CollectionPlan, once: _Once) -> None:
    """Change nothing in a document that nobody has: who may not write is told so first."""
    try:
        once(Asked("patch", f"/_api/document/{plan.name}/rights", body={}))
    except RefusedError as refusal:
        if not refusal.no_document:
            raise
