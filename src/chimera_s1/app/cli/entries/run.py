"""Runs `entries`: asks the service, prints what it says."""

import os
from collections.abc import Iterator
from typing import TypeVar

from msgspec import Struct, json

from chimera_s1.app.cli.entries.replies import EntryDetail, EntryRow, EntryRows
from chimera_s1.app.cli.entries.text import (
    entry_cells,
    entry_table,
    next_line,
    state_lines,
    timeline_cells,
    timeline_table,
)
from chimera_s1.app.cli.shared.output import (
    print_cells,
    print_json,
    print_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.cli.shared.service_access import ServiceAccess, find_service
from chimera_s1.app.cli.shared.service_call import (
    ServiceNotFoundError,
    call_in_session,
    path_part,
)
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.identifiers import Venue, parse_transfer_id
from chimera_s1.domain.printable import escape_unprintable
from chimera_s1_client import HttpSession

_PATHS = {Venue.PERP: "/xchg/futures/entries", Venue.SPOT: "/xchg/spot/entries"}
_TIME_WIDTH = len(format_utc(0))
_Reply = TypeVar("_Reply")


class EntryFilter(Struct, frozen=True):
    """Attributes: None for all."""

    venue: Venue | None
    symbol: str | None
    state: EntryStatus | None
    only_open: bool
    limit: int


async def print_entries(
    settings: Settings, url: str | None, wanted: EntryFilter, as_json: bool
) -> None:
    """Print the newest entries, in a table or as lines of cells."""
    service = find_service(url, os.environ, settings, scope=Scope.READ)
    rows = await _read_rows(service, wanted)
    console = stdout_console()
    if as_json:
        print_json(rows)
    elif not rows:
        print_status("no such entries")
    elif console.is_terminal:
        console.print(entry_table(rows, console.width))
    else:
        for row in rows:
            print_cells(entry_cells(row))


async def print_entry(settings: Settings, url: str | None, key: str, as_json: bool) -> None:
    """Print the timeline of the entry."""
    service = find_service(url, os.environ, settings, scope=Scope.READ)
    entry = await _on_its_venue(service, "GET", key, "", EntryDetail)
    if as_json:
        print_json(entry)
        return
    for line in state_lines(entry):
        print_line(escape_unprintable(line))
    console = stdout_console()
    if console.is_terminal:
        console.print(timeline_table(entry))
        return
    for when, text in timeline_cells(entry):
        print_line(f"{when:<{_TIME_WIDTH}}  {escape_unprintable(text)}")


async def cancel_and_print(
    settings: Settings, url: str | None, key: str, disarm: bool, as_json: bool
) -> None:
    """Cancel the entry and print its state."""
    service = find_service(url, os.environ, settings, scope=Scope.ORDERS_TRADE)
    body = json.encode({"disarm": disarm})
    entry = await _on_its_venue(service, "POST", key, "/cancel", EntryRow, body)
    if as_json:
        print_json(entry)
        return
    for line in (*state_lines(entry), f"next: {next_line(entry)}"):
        print_line(escape_unprintable(line))


async def _read_rows(service: ServiceAccess, wanted: EntryFilter) -> list[EntryRow]:
    query = "&".join(_query(wanted))
    rows: list[EntryRow] = []
    async with HttpSession(service.url, service.token) as session:
        for venue, path in _PATHS.items():
            if wanted.venue in {None, venue}:
                found = await call_in_session(session, "GET", f"{path}?{query}", EntryRows)
                rows += found.entries
    return sorted(rows, key=lambda row: -row.accepted_at)[: wanted.limit]


def _query(wanted: EntryFilter) -> Iterator[str]:
    yield f"limit={wanted.limit}"
    if wanted.symbol is not None:
        yield f"symbol={path_part(wanted.symbol)}"
    if wanted.state is not None:
        yield f"state={wanted.state.value}"
    if wanted.only_open:
        yield "open=true"


async def _on_its_venue(  # noqa: PLR0917 (parts of the request)
    service: ServiceAccess,
    method: str,
    key: str,
    action: str,
    kind: type[_Reply],
    body: bytes | None = None,
) -> _Reply:
    """The reply of the venue that has the entry.

    Raises:
        InvalidValueError: *key* is malformed, or neither venue has it.
        ServiceCallError: Anything else that is not the reply.
    """
    name = path_part(parse_transfer_id(key))
    async with HttpSession(service.url, service.token) as session:
        for path in _PATHS.values():
            try:
                return await call_in_session(session, method, f"{path}/{name}{action}", kind, body)
            except ServiceNotFoundError:
                continue
    raise InvalidValueError(
        f"{service.url}: no entry has the key {key}, on neither venue; chimera-s1 entries list "
        "shows the keys"
    )
