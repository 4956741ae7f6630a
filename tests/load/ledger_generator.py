"""Generates treasury ledgers of any length with the domain's own decisions.

Nine of ten transfers are requested, sent, completed and verified: seven events in four commits. One
of ten is refused by the exchange. A day has 400 transfers.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from uuid import uuid4

import msgspec
from eventsourcing.persistence import StoredEvent

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import (
    Commit,
    CommitDraft,
    LedgerHead,
    encode_commit,
    head_of,
    seal,
)
from chimera_s1.domain.money import parse_usdt
from chimera_s1.domain.treasury.commands import (
    RecordCompleted,
    RecordRefused,
    RecordVerified,
    RequestTransfer,
    StartSubmission,
    TreasuryCommand,
    make_terms,
)
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap, utc_day
from chimera_s1.domain.treasury.decision_context import DecisionContext
from chimera_s1.domain.treasury.decisions import decide
from chimera_s1.domain.treasury.event_records import cap_stream, to_new_event, transfer_stream
from chimera_s1.domain.treasury.events import (
    CapEvent,
    Evidence,
    FailureReason,
    TransferEvent,
    TreasuryEvent,
    TreasuryMode,
)
from chimera_s1.domain.treasury.limits import Direction, TransferLimits
from chimera_s1.domain.treasury.transfer import Transfer, evolve

FIRST_MS = 1_704_067_200_000  # 2024-01-01
INTERVAL_MS = 216_000
REFUSED_EVERY = 10
PAGE_SIZE = 2_000
LIMITS = TransferLimits(
    directions=tuple(Direction), min=Decimal(1), max=Decimal(10_000), daily_cap=Decimal(10_000_000)
)

_INSERT = "INSERT INTO treasury_commits (ledger, seq, commit_id, document) VALUES (?, ?, ?, ?)"
_INSERT_STREAM = "INSERT INTO treasury_commit_streams (ledger, stream, seq) VALUES (?, ?, ?)"
_FAST_PRAGMAS = (
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -200000",
)


class LedgerGenerator:
    """Generates the commits of transfers."""

    def __init__(self) -> None:
        self._head = LedgerHead()
        self._day = CapDay()
        self._transfer: Transfer | None = None

    def transfer(self, number: int) -> Iterator[Commit]:
        """The commits of the transfer *number*, from 0; each number once, ascending."""
        at = FIRST_MS + number * INTERVAL_MS
        own = TransferId(str(uuid4()))
        direction = Direction.SPOT_TO_FUT if number % 2 else Direction.FUT_TO_SPOT
        terms = make_terms(
            direction,
            parse_usdt(Decimal(100_000_000 + number % 9_973 * 1_000_117).scaleb(-8)),
            "margin",
            mode=TreasuryMode.WALLET,
            limits=LIMITS,
            at=at,
        )
        tran_id = str(13_526_853_000 + number)
        self._transfer = None
        if number % (86_400_000 // INTERVAL_MS) == 0:
            self._day = CapDay()
        yield self._commit(own, RequestTransfer(own, terms), "treasury-bot/5f1c0a9e", at)
        sent = StartSubmission(1, at + 5, 5_000, uuid4().hex * 2, 600_000, at + 5)
        yield self._commit(own, sent, "s1/executor", at + 5)
        if number % REFUSED_EVERY == REFUSED_EVERY - 1:
            why = "-5013 Asset transfer failed: insufficient balance"
            refused = RecordRefused(1, FailureReason.REFUSED, why, at + 80)
            yield self._commit(own, refused, "s1/executor", at + 80)
            return
        done = RecordCompleted(1, tran_id, Evidence.REPLY, at + 80)
        yield self._commit(own, done, "s1/executor", at + 80)
        yield self._commit(own, RecordVerified(tran_id), "s1/reconciler", at + 2_100)

    def _commit(self, own: TransferId, command: TreasuryCommand, actor: str, at: int) -> Commit:
        transfer = self._transfer
        events = decide(DecisionContext(transfer, self._day, (), None), command)
        assert events, f"{command} gives no events"
        draft = CommitDraft(
            commit_id=uuid4().hex,
            at=at,
            actor=actor,
            correlation_id=own,
            events=tuple(map(to_new_event, events)),
        )
        versions = {
            transfer_stream(own): transfer.version if transfer is not None else 0,
            cap_stream(utc_day(at)): self._day.version,
        }
        commit = seal(draft, TREASURY_LEDGER, self._head, versions)
        self._head = head_of(commit)
        for event in events:
            self._apply(event)
        return commit

    def _apply(self, event: TreasuryEvent) -> None:
        if isinstance(event, TransferEvent):
            self._transfer = evolve(self._transfer, event)
        elif isinstance(event, CapEvent):
            self._day = evolve_cap(self._day, event)


def commits_of(events: int) -> Iterator[Commit]:
    """A ledger of at least *events* events; the last transfer is closed."""
    generator, made = LedgerGenerator(), 0
    for number in count():
        for commit in generator.transfer(number):
            yield commit
            made += len(commit.events)
        if made >= events:
            return


def requests(number: int) -> list[Commit]:
    """A ledger of *number* requests with two events each."""
    generator = LedgerGenerator()
    return [next(generator.transfer(each)) for each in range(number)]


def stored_events(commits: Iterable[Commit]) -> list[StoredEvent]:
    """The events of *commits* in the format of `eventsourcing`."""
    return [
        StoredEvent(each.stream, each.version, each.type, msgspec.json.encode(each.data))
        for commit in commits
        for each in commit.events
    ]


async def make_ledger(path: Path, events: int, on_page: Callable[[list[Commit]], None]) -> int:
    """Write a ledger of at least *events* events to the new database *path*.

    *on_page* is called with each page of commits. Returns the number of commits.
    """
    async with SqliteDatabase(path):
        pass  # creates the tables
    commits, made = commits_of(events), 0
    connection = sqlite3.connect(path)
    with closing(connection):
        for statement in _FAST_PRAGMAS:
            connection.execute(statement)
        while page := list(islice(commits, PAGE_SIZE)):
            with connection:
                connection.executemany(_INSERT, map(_row, page))
                connection.executemany(_INSERT_STREAM, _stream_rows(page))
            on_page(page)
            made += len(page)
    return made


def _row(commit: Commit) -> tuple[str, int, str, str]:
    return commit.ledger, commit.seq, commit.commit_id, encode_commit(commit).decode()


def _stream_rows(commits: list[Commit]) -> Iterator[tuple[str, str, int]]:
    for commit in commits:
        for stream in commit.streams:
            yield commit.ledger, stream, commit.seq
