"""What drills found, as a table for people and as JSON for programs."""

from collections.abc import Sequence
from typing import Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.drill.drill import Drill
from chimera_s1.app.cli.drill.result import DrillResult
from chimera_s1.app.cli.shared.output import stdout_console

_COLUMNS = ("drill", "noticed s", "over s", "missing", "wrong", "mistimed", "lost", "late ms", "")
_WIDTHS = (14, 12, 12, 8, 6, 8, 6, 9, 5)


def print_catalogue(drills: Sequence[Drill], *, as_json: bool) -> None:
    """Each drill, its fault and its targets."""
    if as_json:
        shown = [
            {"drill": each.name, "fault": each.fault, "targets": each.targets} for each in drills
        ]
        typer.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    for each in drills:
        typer.echo(f"{each.name:<14}  {each.fault}")
        typer.echo(f"{'':<14}  {_targets(each)}")


def results_as_json(rows: Sequence[DrillResult]) -> str:
    """One object a drill: what was measured, its targets, and what was missed."""
    shown: list[dict[str, Any]] = [
        {
            "drill": row.drill.name,
            "fault": row.drill.fault,
            "passed": row.passed,
            "missed": row.missed,
            "targets": row.drill.targets,
            **msgspec.structs.asdict(row.measured),
        }
        for row in rows
    ]
    return msgspec.json.format(msgspec.json.encode(shown)).decode()


def print_results(rows: Sequence[DrillResult]) -> None:
    """The table; behind each figure its target. What was missed follows below."""
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows))
    else:
        typer.echo(_line(_COLUMNS))
        for row in rows:
            typer.echo(_line(_cells(row)))
    for row in rows:
        typer.echo(f"{row.drill.name}: {row.drill.fault}; {_findings(row)}")


def _table(rows: Sequence[DrillResult]) -> Table:
    table = Table()
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in {"drill", ""} else "right", no_wrap=True)
    for row in rows:
        *cells, verdict = _cells(row)
        table.add_row(*cells, Text(verdict, style="green" if row.passed else "red"))
    return table


def _cells(row: DrillResult) -> tuple[str, ...]:
    measured, targets = row.measured, row.drill.targets
    return (
        row.drill.name,
        _figure(measured.noticed_s, targets.noticed_s, ".1f"),
        _figure(measured.over_s, targets.over_s, ".1f"),
        _figure(measured.missing, targets.missing, "d"),
        _figure(len(measured.wrong), 0, "d"),
        _figure(measured.mistimed, targets.mistimed, "d"),
        _figure(measured.lost, targets.lost, "d"),
        _figure(measured.late_ms, targets.late_ms, ".0f"),
        "PASS" if row.passed else "MISS",
    )


def _figure(value: float | None, target: float | None, form: str) -> str:
    shown = "-" if value is None else format(value, form)
    return shown if target is None else f"{shown} <= {target:g}"


def _findings(row: DrillResult) -> str:
    by = f"noticed by {row.measured.noticed_by}" if row.measured.noticed_by else ""
    fired = sum(row.measured.fired)
    parts = [by, f"fired {fired} times", row.measured.remark, *row.missed]
    return "; ".join(part for part in parts if part)


def _targets(drill: Drill) -> str:
    targets = drill.targets
    said = {
        "noticed within {:g} s": targets.noticed_s,
        "over within {:g} s" + (" of its return" if drill.over_from_recovery else ""): (
            targets.over_s
        ),
        "at most {:g} windows missing": targets.missing,
        "at most {:g} connections lost": targets.lost,
        "at most {:g} quotes mistimed": targets.mistimed or None,
        "entries at most {:g} ms late": targets.late_ms,
    }
    parts = [text.format(value) for text, value in said.items() if value is not None]
    return ", ".join([*parts, "no wrong number"])


def _line(cells: Sequence[str]) -> str:
    first, *numbers, last = cells
    middle = [text.rjust(width) for text, width in zip(numbers, _WIDTHS[1:-1], strict=True)]
    return "  ".join((first.ljust(_WIDTHS[0]), *middle, last)).rstrip()
