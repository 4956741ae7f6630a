"""Creates and checks the tables."""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from chimera_s1.adapters.sqlite.migrations import MIGRATIONS
from chimera_s1.domain.errors import ConfigurationError, LedgerDamagedError

APPLICATION_ID: Final = 0x43533161  # "CS1a"
SCHEMA_VERSION: Final = len(MIGRATIONS)
SQLITE_MIN = (3, 37, 0)  # STRICT tables

_log = logging.getLogger(__name__)

# Without its row a stream would seem to be new, and its idempotency key could be used twice.
_MISSING_STREAM_ROWS = """
SELECT commits.ledger, named.value, commits.seq
FROM treasury_commits AS commits, json_each(
    CASE WHEN json_valid(commits.document) THEN commits.document ELSE '{}' END, '$.streams'
) AS named
WHERE NOT EXISTS (
    SELECT 1 FROM treasury_commit_streams AS known
    WHERE known.ledger = commits.ledger AND known.stream = named.value AND known.seq = commits.seq
)
"""


def create_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Create the tables in a new file; check an existing one, and add the tables it lacks.

    Raises:
        ConfigurationError: The file belongs to another program or a newer version, or WAL mode is
            not supported.
        LedgerDamagedError: The file is damaged.
    """
    version = _checked_version(connection, path)
    if _pragma(connection, "journal_mode = WAL") != "wal":
        raise ConfigurationError(
            f"{path}: WAL mode is not supported here; set S1_DB_SQLITE_PATH to a file in a local "
            "directory"
        )
    _check_pages(connection, path)
    _migrate(connection, path, version)
    _restore_stream_rows(connection, path)
    # This process has the lock, so the holders of all leases have ended.
    connection.execute("DELETE FROM leases")


def check_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Check the tables of a file that is only read.

    Raises:
        ConfigurationError: The file is empty, or belongs to another program or a newer version.
    """
    if _checked_version(connection, path) == 0:
        raise ConfigurationError(f"{path} is empty; run chimera-s1 serve once to create the tables")


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(str(_pragma(connection, "user_version")))
    used = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] > 0
    if used and _pragma(connection, "application_id") != APPLICATION_ID:
        raise ConfigurationError(
            f"{path} belongs to another program; set S1_DB_SQLITE_PATH to another file"
        )
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer chimera-s1 (its tables are version {version}, this one "
            f"knows {SCHEMA_VERSION}); run that version, or set S1_DB_SQLITE_PATH to another file"
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Run each missing step in a transaction of its own: a crash leaves a file of some version."""
    for step, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {statements} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {step}; COMMIT;"
        )
    if 0 < version < SCHEMA_VERSION:
        _log.info("%s: upgraded its tables from version %d to %d", path, version, SCHEMA_VERSION)


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    result = str(_pragma(connection, "quick_check(1)"))
    if result != "ok":
        problem = " ".join(result.split())
        raise LedgerDamagedError(f"{path} is damaged ({problem}); restore a backup")


def _restore_stream_rows(connection: sqlite3.Connection, path: Path) -> None:
    """Restore rows that someone deleted; each commit's document names its streams."""
    restored = connection.execute(
        f"INSERT INTO treasury_commit_streams (ledger, stream, seq) {_MISSING_STREAM_ROWS}"
    ).rowcount
    if restored:
        _log.error(
            "%s: %d rows of treasury_commit_streams were missing and have been restored; the file "
            "was changed outside the service: run chimera-s1 ledger verify",
            path,
            restored,
        )


def _pragma(connection: sqlite3.Connection, statement: str) -> object:
    return connection.execute(f"PRAGMA {statement}").fetchone()[0]
