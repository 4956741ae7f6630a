"""The tables, in the order in which versions of the service added them.

To add a table, append a step; never edit a step that a version has shipped. The version of a file
is the number of steps it has.
"""

from typing import Final

# The triggers prevent accidental changes at the sqlite3 prompt. Someone may drop them first; then
# the hash chain shows the change.
_TREASURY: Final = """
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
"""

# From here on IF NOT EXISTS: a step may meet its own tables, because an operator sets
# `user_version` back to run an older version (docs/how-to/upgrade.md).

_INSTALLATION: Final = """
CREATE TABLE IF NOT EXISTS installation (
    fact TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS installation_never_changes BEFORE UPDATE ON installation
BEGIN SELECT RAISE(ABORT, 'a fact is recorded once'); END;
CREATE TRIGGER IF NOT EXISTS installation_never_goes BEFORE DELETE ON installation
BEGIN SELECT RAISE(ABORT, 'a fact is recorded once'); END;
"""

_INSTRUMENT_REGISTRY: Final = """
CREATE TABLE IF NOT EXISTS instrument_registry (
    venue TEXT NOT NULL,
    symbol TEXT NOT NULL,
    version INTEGER NOT NULL,
    checked_at INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (venue, symbol)
) STRICT;
CREATE TABLE IF NOT EXISTS instrument_registry_changes (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    venue TEXT NOT NULL,
    symbol TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (venue, symbol, version)
) STRICT;
CREATE TABLE IF NOT EXISTS instrument_registry_held (
    venue TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

_JOB_RUNS: Final = """
CREATE TABLE IF NOT EXISTS job_runs (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT '',
    request TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
"""

_DEAD_LETTERS: Final = """
CREATE TABLE IF NOT EXISTS dead_letters (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    ts INTEGER NOT NULL,
    port TEXT NOT NULL,
    key TEXT NOT NULL,
    reason TEXT NOT NULL,
    payload TEXT NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;
"""

# Records are written and read by time, so rows in the order of time are appended and scanned.
_FUNDING: Final = """
CREATE TABLE IF NOT EXISTS funding_records (
    symbol TEXT NOT NULL,
    funding_time INTEGER NOT NULL,
    rate_type TEXT NOT NULL,
    version INTEGER NOT NULL,
    rate REAL NOT NULL,
    rate_text TEXT NOT NULL,
    rate_est REAL,
    rate_est_text TEXT,
    mark_price REAL,
    mark_price_text TEXT,
    interval_h INTEGER,
    amount_usdt REAL,
    amount_usdt_text TEXT,
    asset TEXT,
    asset_amount REAL,
    account TEXT,
    content_hash TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    parts TEXT,
    conversions TEXT,
    PRIMARY KEY (funding_time, symbol, rate_type)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS funding_records_by_symbol
    ON funding_records (symbol, funding_time, rate_type);
CREATE TABLE IF NOT EXISTS funding_announcements (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    document TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS funding_disputes (
    funding_time INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    rate_type TEXT NOT NULL,
    field TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    stored TEXT NOT NULL,
    found TEXT NOT NULL,
    found_at INTEGER NOT NULL,
    PRIMARY KEY (funding_time, symbol, rate_type, field, content_hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS funding_coverage (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    verified_from INTEGER NOT NULL,
    verified_through INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final = (
    _TREASURY,
    _INSTALLATION,
    _INSTRUMENT_REGISTRY,
    _JOB_RUNS,
    _DEAD_LETTERS,
    _FUNDING,
)
