"""`chimera-s1 ledger` on many commits: constant memory, and a pipe that is closed early."""

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
"""Less than the text of the many commits, and several times less than their objects."""

_MEASURED = (
    "import atexit, resource, sys; from chimera_s1.app.cli.application import run_command; "
    "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)); "
    "run_command(sys.argv[1:])"
)


async def write_commits(state_dir: Path, commits: list[Commit]) -> None:
    """Write the rows of a store in one transaction."""
    file = state_dir / "s1.sqlite3"
    async with SqliteDatabase(file):
        pass
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO treasury_commits VALUES (?, ?, ?, ?)",
            ((LEDGER, c.seq, c.commit_id, encode_commit(c).decode()) for c in commits),
        )


async def test_memory_of_verify_does_not_grow_with_the_ledger(tmp_path: Path) -> None:
    chain = CommitChain()
    while chain.head.seq < MANY:
        chain.add_done(parse_transfer_id(f"t-{chain.head.seq}"))
    text_bytes = sum(len(encode_commit(commit)) for commit in chain.commits[:: MANY // 100])
    assert text_bytes * (MANY // 100) > GROWTH_KIB_MAX * 1024

    peaks_kib = []
    for count in (FEW, MANY):
        directory = tmp_path / str(count)
        await write_commits(directory, chain.commits[:count])
        done = await anyio.run_process(
            [sys.executable, "-c", _MEASURED, "ledger", "verify", "--state-dir", str(directory)]
        )
        out = done.stdout.decode().splitlines()
        peaks_kib.append(int(out.pop()))
        assert out[0].startswith(f"commits {count}, ")
    assert f"anchor  {anchor_text(chain.head)}" in out
    assert peaks_kib[1] - peaks_kib[0] < GROWTH_KIB_MAX


async def test_export_ends_quietly_when_its_reader_closes_the_pipe(tmp_path: Path) -> None:
    """As `head -1` does: no traceback."""
    chain = CommitChain()
    while chain.head.seq < FEW:
        chain.add_done(parse_transfer_id(f"t-{chain.head.seq}"))
    await write_commits(tmp_path, chain.commits)

    done = await anyio.run_process(
        f"{sys.executable} -m chimera_s1 ledger export --state-dir {tmp_path} | head -1",
        stderr=subprocess.PIPE,
    )

    assert done.stdout == encode_commit(chain.commits[0]) + b"\n"
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
