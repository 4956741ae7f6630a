"""`chimera-s1 ledger` on a ledger of many commits: memory stays flat, and a reader may
leave early.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.app.capabilities.ledger.verifier import anchor_text
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.ledger.commit import Commit, encode_commit
from tests.transfer_events import LEDGER, CommitChain

FEW, MANY = 400, 20_000
GROWTH_KIB_MAX = 16_384
"""The many commits have more than as much of text alone, and several times that as objects."""

_MEASURED = (
    "import atexit, resource, sys; from chimera_s1.app.cli.application import run_command; "
    "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)); "
    "run_command(sys.argv[1:])"
)


async def write_at_once(state_dir: Path, commits: list[Commit]) -> None:
    """As a store would have, in one transaction."""
    file = state_dir / "s1.sqlite3"
    async with SqliteDatabase(file):
        pass
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO treasury_commits VALUES (?, ?, ?, ?)",
            ((LEDGER, c.seq, c.commit_id, encode_commit(c).decode()) for c in commits),
        )


async def test_what_verifying_needs_does_not_grow_with_the_ledger(tmp_path: Path) -> None:
    chain = CommitChain()
    while chain.head.seq < MANY:
        chain.add_done(parse_transfer_id(f"t-{chain.head.seq}"))
    text_bytes = sum(len(encode_commit(commit)) for commit in chain.commits[:: MANY // 100])
    assert text_bytes * (MANY // 100) > GROWTH_KIB_MAX * 1024

    peaks_kib = []
    for number in (FEW, MANY):
        directory = tmp_path / str(number)
        await write_at_once(directory, chain.commits[:number])
        done = await anyio.run_process(
            [sys.executable, "-c", _MEASURED, "ledger", "verify", "--state-dir", str(directory)]
        )
        out = done.stdout.decode().splitlines()
        peaks_kib.append(int(out.pop()))
        assert out[0].startswith(f"commits {number}, ")
    assert f"anchor  {anchor_text(chain.head)}" in out
    assert peaks_kib[1] - peaks_kib[0] < GROWTH_KIB_MAX


async def test_a_reader_of_an_export_may_have_seen_enough(tmp_path: Path) -> None:
    """As `head -1` has: no traceback."""
    chain = CommitChain()
    while chain.head.seq < FEW:
        chain.add_done(parse_transfer_id(f"t-{chain.head.seq}"))
    await write_at_once(tmp_path, chain.commits)

    done = await anyio.run_process(
        f"{sys.executable} -m chimera_s1 ledger export --state-dir {tmp_path} | head -1",
        stderr=subprocess.PIPE,
    )

    assert done.stdout == encode_commit(chain.commits[0]) + b"\n"
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
