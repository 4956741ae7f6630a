"""Prints the newest transfers of a ledger, and the timeline of one."""

from collections.abc import Sequence

from msgspec import Struct, field
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.treasury.list_transfers import (
    ListedTransfer,
    list_newest_transfers,
    read_transfer_entries,
)
from chimera_s1.app.capabilities.treasury.transfer_timeline import TransferTimeline, build_timeline
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.cli.shared.output import (
    print_cells,
    print_json,
    print_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import open_stores
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.printable import escape_unprintable
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus

_WIDTH_OF_ALL_COLUMNS = 120
_UUID_LENGTH = 36
_LENGTH_UP_TO_SECONDS = 19
_STYLES = {
    TransferStatus.PENDING: "yellow",
    TransferStatus.DONE: "green",
    TransferStatus.FAILED: "red",
}


class TransferListRow(Struct, frozen=True, kw_only=True):
    """One transfer in `ledger list`; *accepted* is ISO 8601 in UTC, *amount* exact decimal text."""

    accepted: str
    transfer_id: str
    from_wallet: str = field(name="from")
    to_wallet: str = field(name="to")
    amount: str
    state: TransferStatus
    actor: str
    message: str


async def print_transfers(
    settings: Settings, limit: int, status: TransferStatus | None, as_json: bool
) -> None:
    """Print the newest transfers.

    Raises:
        ConfigurationError: There is no ledger.
        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        rows = [
            _row(each)
            for each in await list_newest_transfers(stores.ledger(TREASURY_LEDGER), limit, status)
        ]
    console = stdout_console()
    if as_json:
        print_json(rows)
    elif console.is_terminal:
        console.print(_table(rows, console.width))
    else:
        for row in rows:
            print_cells(_cells(row))
    if not rows and not as_json:
        print_status("no transfers" if status is None else f"no transfers are {status.value}")


async def print_timeline(settings: Settings, transfer_id: TransferId) -> None:
    """Print the timeline of *transfer_id*.

    Raises:
        ConfigurationError: There is no such transfer, or no ledger.
        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        entries = await read_transfer_entries(stores.ledger(TREASURY_LEDGER), transfer_id)
    if not entries:
        raise ConfigurationError(
            f"the ledger has no transfer {transfer_id}; chimera-s1 ledger list shows the ids"
        )
    for text in timeline_lines(
        build_timeline(transfer_id, entries, settings.reconciliation_timing)
    ):
        print_line(text)


def timeline_lines(timeline: TransferTimeline) -> tuple[str, ...]:
    """*timeline* as text, its columns aligned."""
    width = max(len(line.actor) for line in timeline.entries)
    seq_width = max(len(str(line.seq)) for line in timeline.entries)
    return (
        timeline.title,
        *(
            f"{format_utc(line.at)}  #{line.seq:<{seq_width}}  {line.actor:<{width}}  {line.text}"
            for line in timeline.entries
        ),
        f"now   {timeline.next_steps.current_state}",
        f"next  {timeline.next_steps.next_step}",
    )


def _row(listed: ListedTransfer) -> TransferListRow:
    transfer = listed.transfer
    return TransferListRow(
        accepted=format_utc(transfer.accepted_at),
        transfer_id=escape_unprintable(transfer.transfer_id),
        from_wallet=transfer.direction.source.value,
        to_wallet=transfer.direction.target.value,
        amount=exact_text(transfer.amount),
        state=transfer.status,
        actor=escape_unprintable(listed.actor),
        message=escape_unprintable(_message(transfer, newer=listed.has_unknown_events)),
    )


def _message(transfer: Transfer, *, newer: bool) -> str:
    words = ["disputed"] if transfer.disputed else ["in review"] if transfer.in_review else []
    if newer:
        words.append("partly written by a newer chimera-s1")
    if transfer.corrected:
        words.append("corrected")
    return "; ".join([*words, *([transfer.message] if transfer.message else [])])


def _cells(row: TransferListRow) -> tuple[str, ...]:
    return (
        row.accepted,
        row.transfer_id,
        row.from_wallet,
        row.to_wallet,
        row.amount,
        row.state.value,
        row.actor,
        row.message,
    )


def _table(rows: Sequence[TransferListRow], width: int) -> Table:
    wide = width >= _WIDTH_OF_ALL_COLUMNS
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("accepted, UTC", no_wrap=True)
    table.add_column("transfer", overflow="fold", min_width=_UUID_LENGTH if wide else None)
    table.add_column("direction", no_wrap=True)
    table.add_column("USDT", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if wide:
        table.add_column("actor", overflow="fold")
    table.add_column("message", overflow="fold")
    for row in rows:
        accepted = row.accepted[:_LENGTH_UP_TO_SECONDS].replace("T", " ")
        direction = f"{row.from_wallet} > {row.to_wallet}"
        cells = [accepted, row.transfer_id, direction, row.amount, row.state.value]
        cells += [row.actor] if wide else []
        # As Text: markup in a foreign string stays text.
        table.add_row(*map(Text, (*cells, row.message)), style=_STYLES[row.state])
    return table
