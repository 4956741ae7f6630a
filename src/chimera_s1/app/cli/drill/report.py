"""Prints drills and their results, as a table or as JSON."""

from collections.abc import Sequence

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.drill.drill import Drill
from chimera_s1.app.cli.drill.result import DrillResult
from chimera_s1.app.cli.shared.output import aligned_line, print_json, print_line, stdout_console

_COLUMNS = (
    "drill",
    "",
    "noticed s",
    "over s",
    "missing",
    "wrong",
    "mistimed",
    "lost",
    "late ms",
)
_WIDTHS = (13, 4, 9, 6, 7, 5, 8, 4)
"""Of lines that are not for a terminal: without targets, so that 80 columns are enough."""

_LEFT_COLUMNS = frozenset({"drill", ""})
_WIDTH_WITH_TARGETS = 96
"""A narrower terminal shows the figures alone."""


def print_catalogue(drills: Sequence[Drill], *, as_json: bool) -> None:
    """Print each drill, its fault and its targets."""
    if as_json:
        print_json([{"drill": d.name, "fault": d.fault, "targets": d.targets} for d in drills])
        return
    console = stdout_console()
    for each in drills:
        print_line(f"{each.name:<14}  {each.fault}")
        _print_indented(console, _targets(each), 16)


def print_results(results: Sequence[DrillResult], *, as_json: bool) -> None:
    """Print each measurement beside its target, then what was missed."""
    console = stdout_console()
    if as_json:
        print_json(list(map(_as_dict, results)))
        return
    if console.is_terminal:
        console.print(_table(results, with_targets=console.width >= _WIDTH_WITH_TARGETS))
    else:
        print_line(aligned_line(_COLUMNS, _WIDTHS))
        for result in results:
            print_line(aligned_line(_cells(result, with_targets=False), _WIDTHS))
    for result in results:
        print_line(f"\n{result.drill.name}: {_verdict(result)}")
        for finding in _findings(result):
            _print_indented(console, finding, 2)


def _print_indented(console: Console, text: str, indent: int) -> None:
    if console.is_terminal:
        console.print(Padding(Text(text), (0, 0, 0, indent), expand=False))
    else:
        print_line(" " * indent + text)


def _as_dict(result: DrillResult) -> dict[str, object]:
    return {
        "drill": result.drill.name,
        "fault": result.drill.fault,
        "passed": result.passed,
        "missed": result.missed,
        "targets": result.drill.targets,
        **msgspec.structs.asdict(result.measured),
    }


def _table(results: Sequence[DrillResult], *, with_targets: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in _COLUMNS:
        justify: JustifyMethod = "left" if name in _LEFT_COLUMNS else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for result in results:
        name, verdict, *figures = _cells(result, with_targets=with_targets)
        shown = Text(verdict, style="green" if result.passed else "red")
        table.add_row(name, shown, *figures)
    return table


def _cells(result: DrillResult, *, with_targets: bool) -> tuple[str, ...]:
    measured, targets = result.measured, result.drill.targets
    figures: tuple[tuple[float | None, float | None, str], ...] = (
        (measured.noticed_s, targets.noticed_s, ".1f"),
        (measured.over_s, targets.over_s, ".1f"),
        (measured.missing, targets.missing, "d"),
        (len(measured.wrong), 0, "d"),
        (measured.mistimed, targets.mistimed, "d"),
        (measured.lost, targets.lost, "d"),
        (measured.late_ms, targets.late_ms, ".0f"),
    )
    shown = (
        _figure(value, target if with_targets else None, form) for value, target, form in figures
    )
    return (result.drill.name, _verdict(result), *shown)


def _verdict(result: DrillResult) -> str:
    return "PASS" if result.passed else "MISS"


def _figure(value: float | None, target: float | None, form: str) -> str:
    shown = "-" if value is None else format(value, form)
    return shown if target is None else f"{shown} <= {target:g}"


def _findings(result: DrillResult) -> list[str]:
    measured = result.measured
    by = f", noticed by {measured.noticed_by}" if measured.noticed_by else ""
    fired = f"{result.drill.fault}: fired {sum(measured.fired)} times{by}"
    missed = (f"missed: {each}" for each in result.missed)
    return [part for part in (fired, measured.remark, *missed) if part]


def _targets(drill: Drill) -> str:
    targets = drill.targets
    over = "over within {:g} s" + (" of Redis answering again" * drill.over_from_recovery)
    texts = {
        "noticed within {:g} s": targets.noticed_s,
        over: targets.over_s,
        "at most {:g} windows missing": targets.missing,
        "at most {:g} connections lost": targets.lost,
        "at most {:g} quotes mistimed": targets.mistimed or None,
        "entries at most {:g} ms late": targets.late_ms,
    }
    parts = [text.format(value) for text, value in texts.items() if value is not None]
    return ", ".join([*parts, "no wrong number"])
