"""What SQLite raises becomes the domain's, each with one sentence that says what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chimera_s1.domain.errors import LedgerDamagedError, PortError, StoreUnavailableError

_PRIMARY_CODE_MASK = 0xFF


@contextmanager
def translate_sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what sqlite3 raises inside the block into the domain's errors.

    Args:
        path: The database, for the text.

    Raises:
        LedgerDamagedError: The file is not a database (any more).

        StoreUnavailableError: Everything else; the same call may succeed later.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> PortError:
    # Errors of the module itself have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    text = f"{path}: {error} ({name})"
    match code & _PRIMARY_CODE_MASK:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return LedgerDamagedError(
                f"{text}; this file is damaged or was never a database: restore a backup, "
                "with its -wal file if it has one"
            )
        case sqlite3.SQLITE_FULL:
            advice = "free space on its disk; writing goes on by itself then"
        case sqlite3.SQLITE_IOERR:
            advice = "check its disk for space and for errors; writing goes on by itself then"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            advice = "let this process's user write this file and its directory"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            advice = "another program is writing it; end that program, or copy the file for it"
        case _:
            advice = "try again; if it stays, report it"
    return StoreUnavailableError(f"{text}; {advice}")
