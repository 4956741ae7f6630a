"""Looking into a ledger: its newest transfers, and the life of one."""

from collections.abc import Sequence

import msgspec
import typer
from msgspec import Struct, field
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.ledger.stores import open_stores
from chimera_s1.app.capabilities.treasury.list_transfers import (
    ListedTransfer,
    list_newest_transfers,
    read_transfer_entries,
)
from chimera_s1.app.capabilities.treasury.text_format import escape_unprintable, format_utc
from chimera_s1.app.capabilities.treasury.transfer_timeline import TransferTimeline, build_timeline
from chimera_s1.app.cli.shared.output import print_status, stdout_console
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus

_WIDTH_OF_ALL = 120
_WIDTH_OF_UUID = 36
_UP_TO_SECONDS = 19
_STYLES = {
    TransferStatus.PENDING: "yellow",
    TransferStatus.DONE: "green",
    TransferStatus.FAILED: "red",
}


class TransferListRow(Struct, frozen=True, kw_only=True):
    """One transfer as `ledger list` shows it.

    Attributes:
        accepted: ISO 8601, UTC.

        amount: USDT, exact decimal text.
    """

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
        ConfigurationError: There is no ledger where *settings* say.

        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        lines = [_line(each) for each in await list_newest_transfers(stores.events, limit, status)]
    console = stdout_console()
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(lines)).decode())
    elif console.is_terminal:
        console.print(_table(lines, console.width))
    else:
        for line in lines:
            typer.echo("\t".join(_cells(line)))
    if not lines and not as_json:
        print_status("no transfers" if status is None else f"no transfers are {status.value}")


async def print_timeline(settings: Settings, transfer_id: TransferId) -> None:
    """Print the life of *transfer_id*.

    Raises:
        ConfigurationError: There is no such transfer, or no ledger where *settings* say.

        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        entries = await read_transfer_entries(stores.events, transfer_id)
    if not entries:
        raise ConfigurationError(
            f"the ledger has no transfer {transfer_id}; chimera-s1 ledger list shows which it has"
        )
    for text in timeline_lines(
        build_timeline(transfer_id, entries, settings.reconciliation_timing)
    ):
        typer.echo(text)


def timeline_lines(story: TransferTimeline) -> tuple[str, ...]:
    """*story* as text, its columns under each other."""
    width = max(len(line.actor) for line in story.entries)
    seq_width = max(len(str(line.seq)) for line in story.entries)
    return (
        story.title,
        *(
            f"{format_utc(line.at)}  #{line.seq:<{seq_width}}  {line.actor:<{width}}  {line.text}"
            for line in story.entries
        ),
        f"now   {story.next_steps.current_state}",
        f"next  {story.next_steps.next_step}",
    )


def _line(listed: ListedTransfer) -> TransferListRow:
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


def _cells(line: TransferListRow) -> tuple[str, ...]:
    return (
        line.accepted,
        line.transfer_id,
        line.from_wallet,
        line.to_wallet,
        line.amount,
        line.state.value,
        line.actor,
        line.message,
    )


def _table(lines: Sequence[TransferListRow], width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("accepted, UTC", no_wrap=True)
    id_width = _WIDTH_OF_UUID if width >= _WIDTH_OF_ALL else None
    table.add_column("transfer", overflow="fold", min_width=id_width)
    table.add_column("way", no_wrap=True)
    table.add_column("USDT", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if width >= _WIDTH_OF_ALL:
        table.add_column("actor", overflow="fold")
    table.add_column("message", overflow="fold")
    for line in lines:
        way = f"{line.from_wallet} > {line.to_wallet}"
        accepted = line.accepted[:_UP_TO_SECONDS].replace("T", " ")
        cells = [accepted, line.transfer_id, way, line.amount, line.state.value]
        cells += [line.actor] if width >= _WIDTH_OF_ALL else []
        # As text: what others have written is no markup.
        table.add_row(*map(Text, (*cells, line.message)), style=_STYLES[line.state])
    return table
