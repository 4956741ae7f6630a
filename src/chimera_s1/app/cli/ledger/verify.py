"""Verifies the ledgers, copies that of the treasury, and rebuilds its projection."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.execution.execution_ledger import EXECUTION_LEDGER
from chimera_s1.app.capabilities.ledger.engine import Fold
from chimera_s1.app.capabilities.ledger.verifier import LedgerVerifier, anchor_text
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.cli.shared.count_progress import CountProgress
from chimera_s1.app.cli.shared.output import print_line, print_status
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import open_stores
from chimera_s1.domain.errors import (
    ConfigurationError,
    LedgerDamagedError,
    LedgerTooNewError,
)
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.ledger.commit import (
    LedgerEntry,
    LedgerHead,
    content_hash,
    document_of,
    encode_commit,
)
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.open_transfers import OpenTransfers

OnEntries: TypeAlias = Callable[[tuple[LedgerEntry, ...]], None]


async def verify_ledgers(
    settings: Settings, anchor: LedgerHead | None, execution_anchor: LedgerHead | None
) -> None:
    """Verify the treasury ledger and then the execution ledger, and print their anchors.

    Args:
        settings: Locate the ledgers.
        anchor: An earlier head of the treasury ledger; None without one.
        execution_anchor: The same of the execution ledger.

    Raises:
        LedgerDamagedError: A commit was changed, removed or reordered; the text names it.
        ConfigurationError: There is no ledger.
        StoreUnavailableError: It cannot be read.
    """
    clock = SystemClock()
    async with open_stores(settings, clock, read_only=True) as stores:
        began_ms = clock.monotonic_ms()
        head = await _verify_all(stores.ledger(TREASURY_LEDGER), "verifying", anchor=anchor)
        seconds = (clock.monotonic_ms() - began_ms) / 1000
        print_line(f"commits {head.seq}, each unchanged and in order")
        print_line(f"speed   {head.seq / max(seconds, 1e-3):.0f} commits/s")
        if anchor is not None:
            print_line(f"passed  {anchor_text(anchor)}")
        print_line(f"anchor  {anchor_text(head)}")
        await _verify_execution(stores.ledger(EXECUTION_LEDGER), execution_anchor)
    print_status(
        "keep the anchors on another machine: chimera-s1 ledger verify --anchor SEQ:HASH "
        "--execution-anchor SEQ:HASH detects whether a ledger was truncated or rewritten since"
    )


async def _verify_execution(events: EventStore, anchor: LedgerHead | None) -> None:
    try:
        head = await _verify_all(
            events, "verifying orders", anchor=anchor, fold=ExecutionState().fold_commit
        )
    except LedgerDamagedError as error:
        raise LedgerDamagedError(f"execution ledger: {error}") from error
    print_line(f"execution commits {head.seq}, each unchanged and in order")
    if anchor is not None:
        print_line(f"execution passed  {anchor_text(anchor)}")
    print_line(f"execution anchor  {anchor_text(head)}")


async def export_ledger(settings: Settings, output: Path | None) -> None:
    """Write one commit a line to a new file, or to standard output for None.

    Raises:
        LedgerDamagedError: The ledger is damaged; no file is made.
        LedgerTooNewError: A commit has fields that this version would drop.
        ConfigurationError: There is no ledger, or the file cannot be written.
        StoreUnavailableError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        with _open_output(output) as file:

            def write(entries: tuple[LedgerEntry, ...]) -> None:
                file.writelines(map(_json_line, entries))

            head = await _verify_all(stores.ledger(TREASURY_LEDGER), "exporting", write)
            file.flush()
    print_status(f"{head.seq} commits, anchor {anchor_text(head)}")


async def rebuild_transfers(settings: Settings) -> None:
    """Rebuild `treasury_transfers` from the ledger.

    Raises:
        LedgerDamagedError: The ledger is damaged; the rows are unchanged.
        ConfigurationError: There is no ledger, or a service has it open.
        StoreUnavailableError: It cannot be read or written; the next start of the service adds the
            missing rows.
    """
    clock = SystemClock()
    async with open_stores(settings, clock, read_only=True):
        pass  # fails without a ledger; opening it for writing would create one
    async with open_stores(settings, clock) as stores:
        head = await _verify_all(stores.ledger(TREASURY_LEDGER), "verifying")
        projector = build_transfer_projector(
            stores.ledger(TREASURY_LEDGER), stores.transfers, stores.cursors, ChangeSignal(), clock
        )
        await projector.rebuild()
        done = 0
        with CountProgress("projecting", "commits", head.seq, clock) as bar:
            while number := await projector.advance():
                done += number
                bar.show(done)
    print_status(f"treasury_transfers is rebuilt from {done} commits")


async def _verify_all(
    events: EventStore,
    label: str,
    on_entries: OnEntries | None = None,
    *,
    anchor: LedgerHead | None = None,
    fold: Fold | None = None,
) -> LedgerHead:
    """Verify all commits, passing each page to *on_entries*; the head of the ledger. Without a
    *fold* it is the treasury's.
    """
    verifier = LedgerVerifier(events, fold or OpenTransfers().fold_commit, anchor)
    with CountProgress(label, "commits", (await events.head()).seq, SystemClock()) as bar:
        while entries := await verifier.verify_next():
            if on_entries is not None:
                on_entries(entries)
            bar.show(verifier.head.seq)
    return verifier.head


def _json_line(entry: LedgerEntry) -> bytes:
    commit = entry.commit
    if content_hash(document_of(commit)) != commit.hash:
        raise LedgerTooNewError(
            f"commit {commit.seq} was written by a newer chimera-s1; export with that version"
        )
    return encode_commit(commit) + b"\n"


@contextmanager
def _open_output(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        return
    if output.exists():
        raise ConfigurationError(f"{output} exists; name another file, or remove it")
    try:
        with replacing(output) as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"cannot write {output}: {error.strerror}") from error
