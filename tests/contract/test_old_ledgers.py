"""A ledger written when the wallet FUT was called FUTURES opens, verifies and replays as before.

`ledgers/futures_wallet.sql` was dumped from the SQLite file of a service of that version.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from chimera_s1.adapters.arango.database import connect_arango
from chimera_s1.adapters.arango.event_store import ArangoEventStore
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.ledger.commit import LedgerEntry, decode_entry
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.commands import request_fingerprint
from chimera_s1.domain.treasury.event_records import decode_event
from tests.arango_double import arango_double
from tests.contract.treasury_api_client import TreasuryApiClient, treasury_api_client
from tests.contract.web_parts import Treasury
from tests.fakes.ledger_stores import FaultyEventStore
from tests.processes import finished
from tests.treasury_harness import RequestedOrRejected, TreasuryHarness, TreasuryInstance

DUMP = Path(__file__).parent / "ledgers" / "futures_wallet.sql"
COMMITS = 13
ANCHOR = f"{COMMITS}:6a22aad2f2397e09748697e6d5726a3cd6e16f49e8ea7c913b2ba7f7d7563916"
OUT, BACK = {"from": "SPOT", "to": "FUT"}, {"from": "FUT", "to": "SPOT"}
RETRIES: dict[str, tuple[dict[str, Any], int, str]] = {
    "done-out": ({**OUT, "amount_usdt": 12.5, "reason": "margin"}, 200, "OK"),
    "done-back": ({**BACK, "amount_usdt": "3"}, 200, "OK"),
    "failed-back": ({**BACK, "amount_usdt": "7.0"}, 200, "FAIL"),
    "pending-out": ({**OUT, "amount_usdt": "9", "reason": "late margin"}, 202, "PENDING"),
    "rejected-out": ({**OUT, "amount_usdt": "0.5"}, 422, "FAIL"),
}
"""Each key of the ledger, with the body of a retry today, and its answer."""


def restore(directory: Path) -> Path:
    path = directory / "s1.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(DUMP.read_text(encoding="utf-8"))
    return path


def stored_entries(directory: Path) -> list[LedgerEntry]:
    with closing(sqlite3.connect(restore(directory))) as connection:
        rows = connection.execute("SELECT document FROM treasury_commits ORDER BY seq").fetchall()
    return [decode_entry(text.encode(), "") for (text,) in rows]


async def filled(store: EventStore, directory: Path) -> EventStore:
    for entry in stored_entries(directory):
        await store.append(entry.commit)
    return store


@asynccontextmanager
async def in_memory(directory: Path) -> AsyncIterator[EventStore]:
    yield await filled(FaultyEventStore(TREASURY_LEDGER), directory)


@asynccontextmanager
async def in_sqlite(directory: Path) -> AsyncIterator[EventStore]:
    async with SqliteDatabase(restore(directory)) as database:
        yield SqliteEventStore(database, TREASURY_LEDGER)


@asynccontextmanager
async def in_arango(directory: Path) -> AsyncIterator[EventStore]:
    async with AsyncExitStack() as stack:
        double = stack.enter_context(arango_double())
        connection = connect_arango(double.urls, user="root", read_password=str, database="chimera")
        arango = await stack.enter_async_context(connection)
        yield await filled(ArangoEventStore(arango, TREASURY_LEDGER), directory)


STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[EventStore]]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "arango": in_arango,
}


@pytest.fixture(params=STORES)
async def caller(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[TreasuryApiClient]:
    """A client of a service on the old ledger."""
    async with STORES[request.param](tmp_path) as store:
        world = TreasuryHarness()
        treasury = Treasury(world, TreasuryInstance(world, store=store))
        async with treasury_api_client(treasury=treasury, start_workers=False) as client:
            yield client


async def test_every_key_is_replayed_under_both_names(caller: TreasuryApiClient) -> None:
    for key, (body, status, result) in RETRIES.items():
        old_body = {name: "FUTURES" if v == "FUT" else v for name, v in body.items()}
        for sent in (body, old_body):
            reply = await caller.transfer(key, amount=sent["amount_usdt"], **without_amount(sent))

            assert (reply.status_code, reply.json()["result"]) == (status, result), reply.text
            assert reply.headers["idempotent-replayed"] == "true"
            assert reply.json().get("code") != "key_reused"


async def test_another_body_is_still_refused(caller: TreasuryApiClient) -> None:
    for key, (body, _, _) in RETRIES.items():
        other = {**without_amount(body), "from": body["to"], "to": body["from"]}

        reply = await caller.transfer(key, amount=body["amount_usdt"], **other)

        assert (reply.status_code, reply.json()["code"]) == (422, "key_reused")


async def test_old_transfers_are_shown_under_the_new_name(caller: TreasuryApiClient) -> None:
    for key, (body, _, _) in RETRIES.items():
        shown = (await caller.read(f"transfer/{key}")).json()

        assert (shown["from"], shown["to"]) == (body["from"], body["to"])


def test_fingerprints_of_old_requests_are_unchanged(tmp_path: Path) -> None:
    events = [
        decode_event(record) for entry in stored_entries(tmp_path) for record in entry.commit.events
    ]
    requested = [event.terms for event in events if isinstance(event, RequestedOrRejected)]

    assert len(requested) == len(RETRIES)
    for terms in requested:
        again = request_fingerprint(terms.direction, terms.amount, terms.reason)
        assert again == terms.fingerprint


async def test_the_chain_verifies_and_the_ledger_is_listed(tmp_path: Path) -> None:
    environment = {"S1_DB_SQLITE_PATH": str(restore(tmp_path))}

    code, out, err = await finished("ledger", "verify", "--anchor", ANCHOR, environment=environment)
    assert (code, f"{COMMITS}, each unchanged and in order" in out) == (0, True), out + err
    code, out, err = await finished("ledger", "list", "--json", environment=environment)
    assert code == 0, err
    assert "FUTURES" not in out
    assert out.count('"FUT"') == len(RETRIES)


async def test_rows_of_the_projection_get_the_new_name(tmp_path: Path) -> None:
    async with SqliteDatabase(restore(tmp_path)) as database:
        rows = SqliteTransferProjection(database)
        store = SqliteEventStore(database, TREASURY_LEDGER)
        cursors = SqliteCursorStore(database)
        projector = build_transfer_projector(
            store, rows, cursors, ChangeSignal(), TreasuryHarness().clock
        )
        before = await rows.newest(len(RETRIES))

        await projector.advance()

        after = await rows.newest(len(RETRIES))
    assert {row.from_wallet for row in before} | {row.to_wallet for row in before} == {
        "SPOT",
        "FUTURES",
    }
    assert {row.transfer_id: (row.from_wallet, row.to_wallet) for row in after} == {
        key: (body["from"], body["to"]) for key, (body, _, _) in RETRIES.items()
    }


def without_amount(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "amount_usdt"}
