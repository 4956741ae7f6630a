"""`chimera-s1 ledger` as real processes on real SQLite files, intact and tampered with."""

import json
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.app.capabilities.ledger.verifier import anchor_text
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.ledger.commit import LedgerHead, content_hash, encode_commit
from chimera_s1.domain.treasury.events import Evidence
from tests.processes import finished
from tests.transfer_events import (
    CLAIMED,
    LEDGER,
    REJECTED,
    REQUESTED,
    RESERVED,
    SETTLED,
    STARTED,
    UNKNOWN,
    CommitChain,
    completed_event,
)

FILE = "s1.sqlite3"


@pytest.fixture
def chain() -> CommitChain:
    """Two transfers: `first` is DONE; `t-1` is PENDING, its reply lost."""
    chain = CommitChain()
    chain.add_done(parse_transfer_id("first"))
    chain.add("treasury-bot", REQUESTED, RESERVED)
    chain.add("s1/executor", STARTED)
    chain.add("s1/executor", UNKNOWN)
    return chain


async def write(state_dir: Path, chain: CommitChain) -> None:
    async with SqliteDatabase(state_dir / FILE) as database:
        store = SqliteEventStore(database, LEDGER)
        for commit in chain.commits[(await store.head()).seq :]:
            await store.append(commit)


async def ledger(state_dir: Path, *arguments: str) -> tuple[int, str, str]:
    return await finished("ledger", *arguments, environment={"S1_STATE_DIR": str(state_dir)})


def tamper(state_dir: Path, *statements: str) -> None:
    with closing(sqlite3.connect(state_dir / FILE)) as connection, connection:
        for name in ("change", "go"):
            connection.execute(f"DROP TRIGGER treasury_commits_never_{name}")
        for statement in statements:
            connection.execute(statement)


async def test_the_newest_transfers_come_first(tmp_path: Path, chain: CommitChain) -> None:
    """Lines with tabs in a pipe; the state is that of the transfer's own events."""
    no = parse_transfer_id("no")
    chain.add("bot", msgspec.structs.replace(REJECTED, transfer_id=no), about=no)
    await write(tmp_path, chain)

    code, out, err = await ledger(tmp_path, "list")

    rows = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [(row[1], row[5], row[6]) for row in rows] == [
        ("no", "FAILED", "bot"),
        ("t-1", "PENDING", "treasury-bot"),
        ("first", "DONE", "bot"),
    ]
    assert rows[1][2:5] == ["SPOT", "FUT", "12.5"]
    assert rows[1][7] == "connection reset"


async def test_list_filters_by_state_and_prints_json(tmp_path: Path, chain: CommitChain) -> None:
    await write(tmp_path, chain)

    code, out, _ = await ledger(tmp_path, "list", "--state", "pending", "--json")
    assert code == 0
    [row] = json.loads(out)
    assert (row["transfer_id"], row["state"], row["from"]) == ("t-1", "PENDING", "SPOT")

    code, out, err = await ledger(tmp_path, "list", "--state", "FAILED")
    assert (code, out, err) == (0, "", "no transfers are FAILED\n")


async def test_show_works_while_the_service_writes(tmp_path: Path, chain: CommitChain) -> None:
    """Another process holds the lock; its commits are visible at once."""
    await write(tmp_path, chain)
    async with SqliteDatabase(tmp_path / FILE) as database:
        code, before, err = await ledger(tmp_path, "show", "t-1")
        assert (code, err) == (0, "")
        completed = chain.add("s1/reconciler", completed_event(Evidence.HISTORY), SETTLED, CLAIMED)
        await SqliteEventStore(database, LEDGER).append(completed)
        code, after, err = await ledger(tmp_path, "show", "t-1")

    assert (code, err) == (0, "")
    assert before.splitlines()[0] == "transfer t-1: 12.5 USDT from SPOT to FUT"
    assert before.splitlines()[1] == (
        "2026-11-26T09:00:04.000Z  #5  treasury-bot  accepted: 12.5 USDT from SPOT to FUT "
        "(margin), limits 1 to 1000 USDT, mode wallet"
    )
    assert before.splitlines()[-2].startswith("now   PENDING: attempt 1 may have moved the money")
    assert before.splitlines()[-1].startswith("next  reconciliation looks for 12.5 USDT")
    earlier, later = ([line.split() for line in text.splitlines()] for text in (before, after))
    assert later[:5] == earlier[:5]
    assert after.splitlines()[-2].startswith("now   DONE: movement 77 moved the money")


async def test_an_intact_ledger_verifies_and_contains_its_anchor(
    tmp_path: Path, chain: CommitChain
) -> None:
    """A later verify takes the anchor that an earlier one printed."""
    await write(tmp_path, chain)
    code, out, _ = await ledger(tmp_path, "verify")
    assert code == 0
    printed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert printed["commits"].startswith("7, ")
    assert printed["anchor"] == anchor_text(chain.head)

    chain.add_done(parse_transfer_id("later"))
    await write(tmp_path, chain)
    code, out, _ = await ledger(tmp_path, "verify", "--anchor", printed["anchor"])
    assert code == 0
    assert f"passed  {printed['anchor']}\n" in out
    assert f"anchor  {anchor_text(chain.head)}\n" in out


CHANGED = "UPDATE treasury_commits SET document = replace(document, '12.5', '99.5') WHERE seq = {}"
TAMPERED: dict[str, tuple[Sequence[str], str]] = {
    "edited": ([CHANGED.format(5)], "commit 5 was changed after it was written"),
    "deleted": (
        ["PRAGMA foreign_keys = OFF", "DELETE FROM treasury_commits WHERE seq = 3"],
        "treasury-0000000000000003 is missing",
    ),
    "garbage": (
        ["UPDATE treasury_commits SET document = '{' WHERE seq = 2"],
        "commit 2 (treasury-0000000000000002) cannot be decoded: not a commit",
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_a_tampered_ledger_gives_exit_code_1_and_names_the_commit(
    tmp_path: Path, chain: CommitChain, how: str
) -> None:
    statements, message = TAMPERED[how]
    await write(tmp_path, chain)
    tamper(tmp_path, *statements)

    code, out, err = await ledger(tmp_path, "verify")

    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err


async def test_a_tampered_ledger_is_neither_exported_nor_rebuilt(
    tmp_path: Path, chain: CommitChain
) -> None:
    """No file is made, and the existing rows stay."""
    await write(tmp_path, chain)
    assert (await ledger(tmp_path, "rebuild"))[0] == 0
    tamper(tmp_path, CHANGED.format(5))

    for arguments in (("export", "--output", str(tmp_path / "copy.jsonl")), ("rebuild",)):
        code, out, err = await ledger(tmp_path, *arguments)
        assert (code, out) == (1, "")
        assert "commit 5 was changed after it was written" in err
    assert not [name for name in names(tmp_path) if "copy" in name]
    async with SqliteDatabase(tmp_path / FILE) as database:
        assert len(await SqliteTransferProjection(database).newest(10)) == 2


async def test_a_truncated_or_rewritten_ledger_does_not_contain_its_anchor(
    tmp_path: Path, chain: CommitChain
) -> None:
    """Either is a valid chain, and passes without the anchor."""
    await write(tmp_path, chain)
    anchor = anchor_text(chain.head)
    tamper(tmp_path, "DELETE FROM treasury_commits WHERE seq > 5")

    assert (await ledger(tmp_path, "verify"))[0] == 0
    code, out, err = await ledger(tmp_path, "verify", "--anchor", anchor)
    assert (code, out) == (1, "")
    assert "the ledger ends at commit 5, before the anchor 7: commits are missing" in err

    forged = anchor_text(LedgerHead(5, "0" * 64))
    code, out, err = await ledger(tmp_path, "verify", "--anchor", forged)
    assert (code, out) == (1, "")
    assert "commit 5 differs from the anchor: the ledger was rewritten" in err


async def test_an_export_has_one_canonical_commit_a_line(
    tmp_path: Path, chain: CommitChain
) -> None:
    """The same in a file, readable by its owner only, and on standard output."""
    await write(tmp_path, chain)
    file = tmp_path / "copy.jsonl"

    code, out, err = await ledger(tmp_path, "export", "--output", str(file))
    assert (code, out) == (0, "")
    assert anchor_text(chain.head) in err
    assert stat.S_IMODE(mode(file)) == 0o600
    _, piped, _ = await ledger(tmp_path, "export")
    lines = read(file).splitlines()
    assert piped == read(file)
    assert [line.encode() for line in lines] == [encode_commit(c) for c in chain.commits]
    last = json.loads(lines[-1])
    assert content_hash(last) == last["hash"] == chain.head.hash

    code, _, err = await ledger(tmp_path, "export", "--output", str(file))
    assert code == 2
    assert "exists; name another file" in err


async def test_rebuild_restores_the_rows_from_the_ledger(
    tmp_path: Path, chain: CommitChain
) -> None:
    """While a service has the file open, rebuild changes nothing and fails with one sentence."""
    await write(tmp_path, chain)
    async with SqliteDatabase(tmp_path / FILE) as database:
        rows = SqliteTransferProjection(database)
        assert await rows.newest(10) == ()
        code, out, err = await ledger(tmp_path, "rebuild")
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert "is in use by process" in err

    for _ in range(2):
        code, out, err = await ledger(tmp_path, "rebuild")
        assert (code, out) == (0, "")
        assert "treasury_transfers is rebuilt from 7 commits" in err
    async with SqliteDatabase(tmp_path / FILE) as database:
        newest = await SqliteTransferProjection(database).newest(10)
    assert {(row.transfer_id, row.status) for row in newest} == {
        ("t-1", "PENDING"),
        ("first", "DONE"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--limit", "0"), "--limit"),
        (("list", "--state", "LOST"), "--state"),
        (("show", "no such id"), "a transfer id has 1 to 128"),
        (("show", "unknown"), "s1.sqlite3 does not exist"),
        (("verify", "--anchor", "7"), "an anchor is SEQ:HASH"),
        (("verify",), "does not exist: the service has not created it yet"),
        (("rebuild",), "does not exist: the service has not created it yet"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
async def test_a_wrong_argument_gives_exit_code_2_and_makes_no_file(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = await ledger(tmp_path, *arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert names(tmp_path) == []


async def test_an_unknown_transfer_and_a_foreign_file_are_errors(
    tmp_path: Path, chain: CommitChain
) -> None:
    await write(tmp_path, chain)
    code, out, err = await ledger(tmp_path, "show", "unknown")
    assert (code, out) == (2, "")
    assert "the ledger has no transfer unknown; chimera-s1 ledger list" in err

    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    environment = {"S1_DB_SQLITE_PATH": str(tmp_path / "other.db")}
    code, out, err = await finished("ledger", "verify", environment=environment)
    assert (code, out) == (2, "")
    assert "belongs to another program" in err


def read(file: Path) -> str:
    return file.read_text()


def mode(file: Path) -> int:
    return file.stat().st_mode


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_an_account_is_not_taken_without_a_key(tmp_path: Path) -> None:
    code, out, err = await ledger(tmp_path, "take-account", "--yes")

    assert (code, out) == (2, "")
    assert "no exchange key, so there is no account to take: set S1_BINANCE_KEY" in err


@pytest.mark.parametrize("opened", [False, True])
async def test_an_account_is_not_taken_for_a_ledger_that_no_service_has_opened(
    tmp_path: Path, *, opened: bool
) -> None:
    """The exchange is not asked, and nothing is created."""
    environment = {"S1_BINANCE_KEY": "key", "S1_BINANCE_SECRET": "secret"}
    if opened:
        await write(tmp_path, CommitChain())

    code, out, err = await finished(
        "ledger", "take-account", environment={"S1_STATE_DIR": str(tmp_path), **environment}
    )

    assert (code, out) == (2, "")
    assert ("the ledger has no installation id yet" if opened else "does not exist") in err
    assert (tmp_path / FILE).exists() is opened
