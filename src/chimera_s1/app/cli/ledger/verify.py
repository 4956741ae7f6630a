"""Walking a ledger from end to end: to prove it, to copy it, to make its projection anew."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import typer

from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.ledger.stores import open_stores
from chimera_s1.app.capabilities.ledger.verifier import LedgerVerifier, anchor_text
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.cli.shared.count_progress import CountProgress
from chimera_s1.app.cli.shared.output import print_status
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ConfigurationError, LedgerTooNewError
from chimera_s1.domain.ledger.commit import (
    LedgerEntry,
    LedgerHead,
    content_hash,
    document_of,
    encode_commit,
)
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.open_transfers import OpenTransfers

OnEntries = Callable[[tuple[LedgerEntry, ...]], None]


async def verify_ledger(settings: Settings, anchor: LedgerHead | None) -> None:
    """Prove the ledger, and print its anchor.

    Args:
        settings: Say where it is.

        anchor: A head it had before; None where nobody remembers one.

    Raises:
        LedgerDamagedError: It is not what was written; the text names the place.

        ConfigurationError: There is none.

        StoreUnavailableError: It cannot be read.
    """
    clock = SystemClock()
    async with open_stores(settings, clock, read_only=True) as stores:
        began_ms = clock.monotonic_ms()
        head = await _verify_all(stores.events, "verifying", anchor=anchor)
        seconds = (clock.monotonic_ms() - began_ms) / 1000
    typer.echo(f"commits {head.seq}, each as written and after the one before it")
    typer.echo(f"speed   {head.seq / max(seconds, 1e-3):.0f} commits/s")
    if anchor is not None:
        typer.echo(f"passed  {anchor_text(anchor)}")
    typer.echo(f"anchor  {anchor_text(head)}")
    print_status(
        "keep the anchor on another machine: chimera-s1 ledger verify --anchor SEQ:HASH tells "
        "later whether the ledger was cut or rewritten"
    )


async def export_ledger(settings: Settings, output: Path | None) -> None:
    """Write every commit on a line of its own.

    Args:
        settings: Say where the ledger is.

        output: A file that is not there yet; None for standard output.

    Raises:
        LedgerDamagedError: It is not what was written; a file is not made then.

        LedgerTooNewError: A commit has fields that this version would leave out.

        ConfigurationError: There is no ledger, or the file cannot be written.

        StoreUnavailableError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        with _open_output(output) as file:

            def take(entries: tuple[LedgerEntry, ...]) -> None:
                file.writelines(map(_json_line, entries))

            head = await _verify_all(stores.events, "exporting", take)
            file.flush()
    print_status(f"{head.seq} commits, anchor {anchor_text(head)}")


async def rebuild_transfers(settings: Settings) -> None:
    """Make `treasury_transfers` anew.

    Raises:
        LedgerDamagedError: The ledger is not what was written; the rows are as before.

        ConfigurationError: There is none, or a service has it open.

        StoreUnavailableError: It cannot be read or written; what is missing comes with the next
            start of the service.
    """
    clock = SystemClock()
    async with open_stores(settings, clock, read_only=True):
        pass  # it is there: opening it to write would make one
    async with open_stores(settings, clock) as stores:
        head = await _verify_all(stores.events, "verifying")
        projector = build_transfer_projector(
            stores.events, stores.transfers, stores.cursors, ChangeSignal(), clock
        )
        await projector.rebuild()
        done = 0
        with CountProgress("projecting", "commits", head.seq, clock) as bar:
            while number := await projector.advance():
                done += number
                bar.show(done)
    print_status(f"treasury_transfers is as {done} commits say")


async def _verify_all(
    events: EventStore,
    label: str,
    take: OnEntries | None = None,
    *,
    anchor: LedgerHead | None = None,
) -> LedgerHead:
    """Prove commit after commit, giving each page to *take*; where the ledger ends."""
    walk = LedgerVerifier(events, OpenTransfers().fold_commit, anchor)
    with CountProgress(label, "commits", (await events.head()).seq, SystemClock()) as bar:
        while entries := await walk.verify_next():
            if take is not None:
                take(entries)
            bar.show(walk.head.seq)
    return walk.head


def _json_line(entry: LedgerEntry) -> bytes:
    commit = entry.commit
    if content_hash(document_of(commit)) != commit.hash:
        raise LedgerTooNewError(
            f"commit {commit.seq} has fields of a newer chimera-s1; export with that one"
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
