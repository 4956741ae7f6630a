"""A treasury ledger of any length, made in bulk: what a service writes in years, from the same
decisions.

Nine transfers of ten live as most do: requested, sent, done, seen in the history; seven events in
four commits. One of ten is refused by the exchange. A day has 400 of them.
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
from chimera_s1.app.capabilities.ledger.stores import TREASURY_LEDGER
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
BETWEEN_MS = 216_000
REFUSED_EVERY = 10
COMMITS_AT_ONCE = 2_000
LIMITS = TransferLimits(
    directions=tuple(Direction), min=Decimal(1), max=Decimal(10_000), daily_cap=Decimal(10_000_000)
)

_INSERT = "INSERT INTO treasury_commits (ledger, seq, commit_id, document) VALUES (?, ?, ?, ?)"
_INSERT_STREAM = "INSERT INTO treasury_commit_streams (ledger, stream, seq) VALUES (?, ?, ?)"
_QUICKLY = (
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -200000",
)


class LedgerGenerator:
    """Writes transfers down, commit after commit."""

    def __init__(self) -> None:
        self._head = LedgerHead()
        self._day = CapDay()
        self._transfer: Transfer | None = None

    def transfer(self, number: int) -> Iterator[Commit]:
        """The commits of the transfer *number*, from 0; each number once, ascending."""
        at = FIRST_MS + number * BETWEEN_MS
        own = TransferId(str(uuid4()))
        direction = Direction.SPOT_TO_FUTURES if number % 2 else Direction.FUTURES_TO_SPOT
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
        if number % (86_400_000 // BETWEEN_MS) == 0:
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
        assert events, f"{command} says nothing new"
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
            self._follow(event)
        return commit

    def _follow(self, event: TreasuryEvent) -> None:
        if isinstance(event, TransferEvent):
            self._transfer = evolve(self._transfer, event)
        elif isinstance(event, CapEvent):
            self._day = evolve_cap(self._day, event)


def commits_of(events: int) -> Iterator[Commit]:
    """A ledger of *events* events, or a few more: that the last transfer is over."""
    chronicle, made = LedgerGenerator(), 0
    for number in count():
        for commit in chronicle.transfer(number):
            yield commit
            made += len(commit.events)
        if made >= events:
            return


def requests(number: int) -> list[Commit]:
    """A ledger of *number* requests, each two events, and nothing else."""
    chronicle = LedgerGenerator()
    return [next(chronicle.transfer(each)) for each in range(number)]


def stored_events(commits: Iterable[Commit]) -> list[StoredEvent]:
    """The events of *commits* as `eventsourcing` keeps them."""
    return [
        StoredEvent(each.stream, each.version, each.type, msgspec.json.encode(each.data))
        for commit in commits
        for each in commit.events
    ]


async def make_ledger(path: Path, events: int, also: Callable[[list[Commit]], None]) -> int:
    """Write a ledger of *events* events to the new file *path*.

    Args:
        path: Of the database.

        events: How many, at least.

        also: Given every commit, some at a time.

    Returns:
        How many commits it has.
    """
    async with SqliteDatabase(path):
        pass  # the tables are there now
    commits, made = commits_of(events), 0
    connection = sqlite3.connect(path)
    with closing(connection):
        for statement in _QUICKLY:
            connection.execute(statement)
        while some := list(islice(commits, COMMITS_AT_ONCE)):
            with connection:
                connection.executemany(_INSERT, map(_row, some))
                connection.executemany(_INSERT_STREAM, _stream_rows(some))
            also(some)
            made += len(some)
    return made


def _row(commit: Commit) -> tuple[str, int, str, str]:
    return commit.ledger, commit.seq, commit.commit_id, encode_commit(commit).decode()


def _stream_rows(commits: list[Commit]) -> Iterator[tuple[str, str, int]]:
    for commit in commits:
        for stream in commit.streams:
            yield commit.ledger, stream, commit.seq
