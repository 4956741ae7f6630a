"""Runs `jobs`: asks the service, prints what it says."""

import os
from collections.abc import Sequence

import anyio
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

POLL_S = 0.5
_RUNNING, _OK = "running", "ok"
_STYLES = {_OK: "green", _RUNNING: "cyan", "failed": "red", "timed out": "red"}
_TIME_OF_DAY = slice(len("2026-11-26T"), len("2026-11-26T09:00:00"))
_DAY_AND_MINUTE = slice(len("2026-"), len("2026-11-26T09:00"))


class JobRow(Struct, frozen=True):
    """A job as the service shows it; times are epoch ms."""

    name: str
    schedule: str
    runs_on: str
    owner: str
    last_run: int | None
    duration_ms: int | None
    result: str | None
    detail: str
    failures: int
    next_run: int


class _Jobs(Struct, frozen=True):
    jobs: tuple[JobRow, ...]


async def print_jobs(settings: Settings, url: str | None, as_json: bool) -> None:
    """Print all jobs, in a table or as lines of cells."""
    rows = await _read_jobs(find_service(url, os.environ, settings, scope=Scope.READ))
    if as_json:
        print_json(rows)
        return
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows))
        return
    for row in rows:
        print_cells(_cells(row))


async def run_and_print(settings: Settings, url: str | None, name: str, wait_s: float) -> bool:
    """Run the job *name* and print how the run ended; whether it succeeded."""
    service = find_service(url, os.environ, settings, scope=Scope.JOBS_RUN)
    before = await call_service(service, "POST", f"/xchg/jobs/{path_part(name)}/run", JobRow)
    print_status(f"{name}: requested")
    after = before
    with anyio.move_on_after(wait_s):
        while after.last_run == before.last_run or after.result == _RUNNING:
            await anyio.sleep(POLL_S)
            rows = await _read_jobs(service)
            after = next((row for row in rows if row.name == name), after)
    if after.last_run == before.last_run or after.result == _RUNNING:
        state = "runs" if after.result == _RUNNING else "has not begun"
        print_line(f"{name} {state} after {wait_s:g} s; chimera-s1 jobs list shows how it ends")
        return False
    print_line(f"{after.result} {name}: {after.detail} ({after.duration_ms} ms)")
    return after.result == _OK


async def _read_jobs(service: ServiceAccess) -> tuple[JobRow, ...]:
    return (await call_service(service, "GET", "/xchg/jobs", _Jobs)).jobs


def _cells(row: JobRow) -> tuple[str, ...]:
    return (
        row.name,
        row.schedule,
        row.runs_on,
        row.owner,
        format_utc(row.last_run) if row.last_run is not None else "never",
        row.result or "",
        format_utc(row.next_run),
        row.detail,
    )


def _table(rows: Sequence[JobRow]) -> Table:
    """Fits 80 columns; times are UTC. `--json` has the rest."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("job", no_wrap=True)
    table.add_column("last, UTC", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("next", no_wrap=True)
    table.add_column("detail", overflow="fold")
    newest = max((row.last_run or 0 for row in rows), default=0)
    for row in rows:
        result = row.result or "-"
        if row.failures > 1:
            result = f"{result} {row.failures}x"
        last = _time(row.last_run, newest) if row.last_run is not None else "never"
        cells = row.name, last, result, _time(row.next_run, newest), row.detail or row.schedule
        # As Text: markup in a foreign string stays text.
        table.add_row(*map(Text, cells), style=_STYLES.get(row.result or "", ""))
    return table


def _time(epoch_ms: int, newest_ms: int) -> str:
    """`09:00:00` on the day of the newest run, else `11-26 09:00`."""
    text, newest = format_utc(epoch_ms), format_utc(newest_ms)
    if text.partition("T")[0] == newest.partition("T")[0]:
        return text[_TIME_OF_DAY]
    return text[_DAY_AND_MINUTE].replace("T", " ")
