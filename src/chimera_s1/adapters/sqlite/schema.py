"""Creates and checks the tables."""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from chimera_s1.domain.errors import ConfigurationError, LedgerDamagedError

APPLICATION_ID: Final = 0x43533161  # "CS1a"
SCHEMA_VERSION: Final = 1
SQLITE_MIN = (3, 37, 0)  # STRICT tables

_log = logging.getLogger(__name__)

# The triggers prevent accidental changes at the sqlite3 prompt. Someone may drop them first; then
# the hash chain shows the change.
_CREATE_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE treasury_commits (
    ledger TEXT NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > 0),
    commit_id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (ledger, seq),
    UNIQUE (ledger, commit_id)
) STRICT;
CREATE TRIGGER treasury_commits_never_change BEFORE UPDATE ON treasury_commits
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TRIGGER treasury_commits_never_go BEFORE DELETE ON treasury_commits
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TABLE treasury_commit_streams (
    ledger TEXT NOT NULL,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (ledger, stream, seq),
    FOREIGN KEY (ledger, seq) REFERENCES treasury_commits (ledger, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER treasury_commit_streams_never_change BEFORE UPDATE ON treasury_commit_streams
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TRIGGER treasury_commit_streams_never_go BEFORE DELETE ON treasury_commit_streams
BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until_ms REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE treasury_transfers (
    transfer_id TEXT PRIMARY KEY,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    asset TEXT NOT NULL,
    amount TEXT NOT NULL,
    amount_usdt REAL NOT NULL,
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    phase TEXT NOT NULL,
    tran_id TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    actor TEXT NOT NULL,
    verified INTEGER NOT NULL,
    disputed INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    in_review INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    applied_seq INTEGER NOT NULL
) STRICT;
CREATE INDEX treasury_transfers_by_age ON treasury_transfers (created_at, transfer_id);
CREATE INDEX treasury_transfers_by_status
    ON treasury_transfers (status, created_at, transfer_id);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

# Also in files of earlier versions, from their first opening on.
_CREATE_INSTALLATION = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS installation (
    fact TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS installation_never_changes BEFORE UPDATE ON installation
BEGIN SELECT RAISE(ABORT, 'a fact is recorded once'); END;
CREATE TRIGGER IF NOT EXISTS installation_never_goes BEFORE DELETE ON installation
BEGIN SELECT RAISE(ABORT, 'a fact is recorded once'); END;
COMMIT;
"""

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
    """Create the tables in a new file, or check those of an existing one.

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
    if version == 0:
        connection.executescript(_CREATE_TABLES)
    connection.executescript(_CREATE_INSTALLATION)
    _check_pages(connection, path)
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
