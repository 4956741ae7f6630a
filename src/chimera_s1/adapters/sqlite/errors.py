"""Translates SQLite's errors into domain errors with advice for the operator."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chimera_s1.domain.errors import LedgerDamagedError, PortError, StoreUnavailableError

_PRIMARY_CODE_MASK = 0xFF


@contextmanager
def translate_sqlite_errors(path: Path) -> Iterator[None]:
    """Raises:
    LedgerDamagedError: The file is damaged, or not a database.

    StoreUnavailableError: Any other error; the same call may succeed later.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> PortError:
    # Errors raised by the sqlite3 module itself have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    text = f"{path}: {error} ({name})"
    match code & _PRIMARY_CODE_MASK:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return LedgerDamagedError(
                f"{text}; damaged, or not a database: restore a backup together with its -wal "
                "file, if it has one"
            )
        case sqlite3.SQLITE_FULL:
            advice = "free disk space; writing resumes by itself"
        case sqlite3.SQLITE_IOERR:
            advice = "check the disk for free space and errors; writing resumes by itself"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            advice = "make the file and its directory writable for this process's user"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            advice = "locked by another program; stop that program, or give it a copy"
        case _ if str(error).startswith("no such table"):
            advice = "an older chimera-s1 wrote the file; serve of this version adds the table"
        case _:
            advice = "retry; report it if it persists"
    return StoreUnavailableError(f"{text}; {advice}")
