"""The contract of `TokenStore`, in memory and in a file."""

from pathlib import Path

import pytest
from msgspec import structs

from chimera_s1.adapters.system.file_token_store import FileTokenStore
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import TokenRecord, make_token
from chimera_s1.domain.ports.token_store import TokenStore
from tests.fakes.manual_clock import ManualClock
from tests.fakes.token_store import MemoryTokenStore


def record(kid: str) -> TokenRecord:
    made = make_token(
        kid, kid.encode() * 8, actor="bot", scopes=Scope, created_at=1, not_after=2_000
    )
    return made[1]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    if request.param == "memory":
        return MemoryTokenStore()
    return FileTokenStore(tmp_path / "tokens.json", ManualClock(), allow_missing=True)


def test_a_record_is_found_with_every_field(store: TokenStore) -> None:
    revoked = structs.replace(record("abcd"), revoked_at=1_500)
    store.put(revoked)

    assert store.find("abcd") == revoked
    assert store.find("efgh") is None


def test_records_come_in_the_order_they_were_put(store: TokenStore) -> None:
    records = tuple(map(record, ("zzzz", "aaaa", "mmmm")))
    for each in records:
        store.put(each)

    assert store.records() == records


def test_a_record_replaces_the_one_with_its_kid(store: TokenStore) -> None:
    first, second = record("abcd"), record("efgh")
    revoked = structs.replace(first, revoked_at=1_500)
    for each in (first, second, revoked):
        store.put(each)

    assert store.find("abcd") == revoked
    assert store.records() == (revoked, second)
