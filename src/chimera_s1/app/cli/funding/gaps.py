"""Prints what is missing of the funding history, as the service knows it."""

import os
from collections.abc import Sequence
from urllib.parse import urlencode

from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.shared.output import (
    print_cells,
    print_json,
    print_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.cli.shared.service_call import call_service
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.utc_time import format_minute, format_second
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.health import count

NONE, SOME, NOT_KNOWN = 0, 1, 2
"""Exit codes."""


_NOT_VERIFIED = "not read yet, or a read failed: chimera-s1 jobs list"
_NOT_PUBLISHED = "not in the exchange's own history; see funding verify --archive"


class GapRow(Struct, frozen=True):
    """Times are epoch ms, both included."""

    symbol: str
    kind: str
    start: int
    end: int


class DisputeRow(Struct, frozen=True):
    symbol: str
    funding_time: int
    rate_type: str
    field: str
    stored: str
    found: str
    found_at: int


class Gaps(Struct, frozen=True):
    """The reply; *gaps* and *disputes* are the first of as many as the counts say."""

    searched_from: int
    verified_through: int | None
    contracts: int
    not_verified: int
    not_published: int
    disputed: int
    gaps: tuple[GapRow, ...]
    disputes: tuple[DisputeRow, ...]


async def print_gaps(
    settings: Settings, url: str | None, symbol: Symbol | None, as_json: bool
) -> int:
    """Print gaps and disputes; the exit code.

    Raises:
        ConfigurationError: There is no service or no token.
        InvalidValueError: There is no such contract.
        ServiceCallError: The service does not answer, or cannot read its store.
    """
    found = await _read_gaps(settings, url, symbol)
    if as_json:
        print_json(found)
    else:
        _print(found, symbol)
    return exit_code(found)


async def print_verified(settings: Settings, url: str | None, symbol: Symbol | None) -> int:
    """As `print_gaps`, with the exit code of `funding verify`."""
    found = await _read_gaps(settings, url, symbol)
    _print(found, symbol)
    return verify_exit_code(found)


async def _read_gaps(settings: Settings, url: str | None, symbol: Symbol | None) -> Gaps:
    service = find_service(url, os.environ, settings, scope=Scope.READ)
    query = "" if symbol is None else f"?{urlencode({'symbol': symbol})}"
    return await call_service(service, "GET", f"/xchg/funding/gaps{query}", Gaps)


def _print(found: Gaps, symbol: Symbol | None) -> None:
    if exit_code(found) == SOME:
        print_gap_rows(found.gaps)
    _print_disputes(found)
    for line in gap_counts(found):
        print_status(line)
    if exit_code(found) != SOME:
        print_line(_sentence(found, symbol))


def exit_code(found: Gaps) -> int:
    if found.verified_through is None:
        return NOT_KNOWN
    return SOME if found.gaps else NONE


def verify_exit_code(found: Gaps) -> int:
    """A disputed record is a difference, too."""
    return SOME if found.disputed else exit_code(found)


def print_gap_rows(gaps: Sequence[GapRow]) -> None:
    if not gaps:
        return
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(gaps))
        return
    for row in gaps:
        print_cells(_cells(row))


def _table(gaps: Sequence[GapRow]) -> Table:
    """Fits 80 columns."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("contract", overflow="fold")
    for name in ("missing", "from, UTC", "to, UTC"):
        table.add_column(name, no_wrap=True)
    for row in gaps:
        # As Text: markup in a foreign string stays text.
        table.add_row(*map(Text, _cells(row)))
    return table


def _cells(row: GapRow) -> tuple[str, ...]:
    return row.symbol, row.kind, format_second(row.start), format_second(row.end)


def gap_counts(found: Gaps) -> list[str]:
    """How many there are of each kind, and what to do; on standard error, apart from the rows."""
    if exit_code(found) != SOME:
        return []
    total = found.not_verified + found.not_published
    lines = [count(total, "gap") + _shown(total, len(found.gaps))]
    if found.not_verified:
        lines.append(f"{found.not_verified} not_verified: {_NOT_VERIFIED}")
    if found.not_published:
        lines.append(f"{found.not_published} not_published: {_NOT_PUBLISHED}")
    return lines


def _shown(total: int, rows: int) -> str:
    return (
        ""
        if rows == total
        else f"; the first {rows} are shown, --symbol shows those of one contract"
    )


def describe_dispute(row: DisputeRow) -> str:
    """Nothing is found of a settlement that the exchange no longer has."""
    settlement = f"{row.symbol} {format_second(row.funding_time)} {row.rate_type}"
    found = f"{row.found or 'nothing'} was found {format_second(row.found_at)}"
    return f"disputed: {settlement}: {row.field} {row.stored} is stored, {found}"


def _print_disputes(found: Gaps) -> None:
    for row in found.disputes:
        print_line(describe_dispute(row))
    if found.disputed:
        print_status(
            f"{found.disputed} disputed: the exchange has changed what it said; the first stays"
        )


def _sentence(found: Gaps, symbol: Symbol | None) -> str:
    if found.verified_through is None:
        return (
            f"not known: nothing of {symbol or 'the funding history'} is verified yet; "
            "chimera-s1 jobs list shows when it is read"
        )
    what = count(found.contracts, "contract") if symbol is None else symbol
    first, last = format_minute(found.searched_from), format_minute(found.verified_through)
    return f"no gaps in {what} from {first} through {last} UTC"
