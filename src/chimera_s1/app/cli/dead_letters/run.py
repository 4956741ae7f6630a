"""Runs `dead-letters`: asks the service, prints what it says."""

import os
from collections.abc import Sequence
from typing import Final

import msgspec
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
from chimera_s1.app.cli.shared.service_access import ServiceAccess, find_service
from chimera_s1.app.cli.shared.service_call import call_service, path_part
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.access.scopes import Scope

_PATH: Final = "/xchg/dead-letters"
_DAY_AND_TIME = slice(len("2026-"), len("2026-11-26T09:00:00"))


class Letter(Struct, frozen=True, kw_only=True):
    """A letter as the service shows it; *ts* is epoch ms."""

    letter_id: str
    ts: int
    port: str
    key: str
    reason: str
    attempts: int
    replayable: bool
    payload: str = ""


class _Unreadable(Struct, frozen=True):
    place: str
    problem: str


class _Page(Struct, frozen=True):
    letters: tuple[Letter, ...]
    next_after: str | None
    unreadable: tuple[_Unreadable, ...]


class _Replayed(Struct, frozen=True):
    done: str


async def print_letters(settings: Settings, url: str | None, as_json: bool) -> bool:
    """Print all letters, in a table or as lines of cells; whether every place was read."""
    letters, unreadable = await _read_all(_service(settings, url, Scope.READ))
    if as_json:
        print_json(letters)
    elif not letters:
        print_status("no dead letters")
    else:
        _print(letters)
    for each in unreadable:
        print_status(f"letters in {each.place} cannot be read: {each.problem}")
    return not unreadable


async def print_letter(settings: Settings, url: str | None, letter_id: str) -> None:
    """Print every field of the letter, the payload as indented JSON."""
    service = _service(settings, url, Scope.READ)
    letter = await call_service(service, "GET", _path(letter_id), Letter)
    for name, text in (
        ("letter", letter.letter_id),
        ("given up", format_utc(letter.ts)),
        ("port", letter.port),
        ("key", letter.key),
        ("reason", letter.reason),
        ("attempts", str(letter.attempts)),
        ("replay", "possible" if letter.replayable else "not possible"),
    ):
        print_line(f"{name:<10}{text}")
    try:
        print_json(msgspec.json.decode(letter.payload))
    except msgspec.DecodeError:
        print_line(letter.payload or "no payload")


async def replay(settings: Settings, url: str | None, letter_id: str) -> None:
    service = _service(settings, url, Scope.JOBS_RUN)
    done = await call_service(service, "POST", f"{_path(letter_id)}/replay", _Replayed)
    print_line(f"{letter_id}: {done.done}")


async def drop(settings: Settings, url: str | None, letter_id: str) -> None:
    service = _service(settings, url, Scope.JOBS_RUN)
    letter = await call_service(service, "DELETE", _path(letter_id), Letter)
    print_line(f"{letter_id}: deleted; it was {letter.port} {letter.key}")


def _service(settings: Settings, url: str | None, scope: Scope) -> ServiceAccess:
    return find_service(url, os.environ, settings, scope=scope)


def _path(letter_id: str) -> str:
    return f"{_PATH}/{path_part(letter_id)}"


async def _read_all(service: ServiceAccess) -> tuple[list[Letter], tuple[_Unreadable, ...]]:
    letters: list[Letter] = []
    unreadable: dict[str, _Unreadable] = {}
    path = _PATH
    while True:
        page = await call_service(service, "GET", path, _Page)
        letters += page.letters
        unreadable |= {each.place: each for each in page.unreadable}
        if page.next_after is None:
            return letters, tuple(unreadable.values())
        path = f"{_PATH}?after={path_part(page.next_after)}"


def _print(letters: Sequence[Letter]) -> None:
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(letters))
        return
    for each in letters:
        cells = format_utc(each.ts), each.port, each.key, str(each.attempts), each.reason
        print_cells((each.letter_id, *cells))


def _table(letters: Sequence[Letter]) -> Table:
    """Fits 80 columns: a long cell goes on in the next line; times are UTC."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", overflow="fold", min_width=22)
    table.add_column("given up, UTC", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=1)
    for each in letters:
        what = f"{each.port} {each.key}: {each.reason}"
        given_up = format_utc(each.ts)[_DAY_AND_TIME].replace("T", " ")
        # As Text: markup in a foreign string stays text.
        style = "" if each.replayable else "dim"
        table.add_row(*map(Text, (each.letter_id, given_up, what)), style=style)
    return table
