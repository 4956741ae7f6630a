"""A process that writes a ledger in SQLite, for tests that kill it, stop it or fill its disk.

    python -m tests.contract.ledger_writer {append | fill | open} PATH

Each printed line reports an acknowledged seq or an error.
"""

import ctypes
import resource
import sys
from pathlib import Path

import anyio

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.domain.errors import ChimeraError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, head_of, seal
from chimera_s1.domain.ports.event_store import Appended
from tests.contract.ledger_commits import LEDGER, make_draft, verify_links

_FILE_BYTES_MAX = 200_000
_CAPABILITY_VERSION = 0x20080522


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def next_commit(head: LedgerHead) -> Commit:
    return seal(make_draft("transfer/a", "cap/day", id_prefix=f"{head.seq}"), LEDGER, head, {})


async def append(path: Path) -> None:
    """Append until the process is killed; print each acknowledged seq."""
    async with SqliteDatabase(path) as database:
        events = SqliteEventStore(database, LEDGER)
        head = await events.head()
        say("ready", head.seq)
        while True:
            commit = next_commit(head)
            assert await events.append(commit) == Appended(commit)
            head = head_of(commit)
            say(head.seq)


async def fill(path: Path) -> None:
    """Append until files may not grow (three failures), then once more without that limit."""
    async with SqliteDatabase(path) as database:
        events = SqliteEventStore(database, LEDGER)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES_MAX, hard))
        head, failures, written = LedgerHead(), 0, 0
        while failures < 3:
            commit = next_commit(head)
            try:
                await events.append(commit)
                head = head_of(commit)
                written += 1
            except StoreUnavailableError as error:
                failures += 1
                say("failed", error)
        say("read", written, await verify_links(events) == (head, ""))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        say("again", isinstance(await events.append(commit), Appended))
        say("end", commit.seq)


async def open_once(path: Path) -> None:
    """Open the file with no rights but its permissions."""
    drop_capabilities()
    try:
        async with SqliteDatabase(path):
            say("opened")
    except ChimeraError as error:
        say(error.code, error)


def drop_capabilities() -> None:
    """Make file permissions apply to root too."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset(ctypes.byref(header), ctypes.byref(none))


if __name__ == "__main__":
    mode = {"append": append, "fill": fill, "open": open_once}[sys.argv[1]]
    anyio.run(mode, Path(sys.argv[2]))
