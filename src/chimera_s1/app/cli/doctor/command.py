"""`chimera-s1 doctor`: check everything that the service depends on."""

import os
from collections.abc import Sequence

import anyio
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult
from chimera_s1.app.cli.shared.options import JsonArrayOption, StateDirOption
from chimera_s1.app.cli.shared.output import StatusLine, print_json, stdout_console

_STYLES = {CheckGrade.OK: "green", CheckGrade.WARN: "yellow", CheckGrade.FAIL: "red"}


def doctor(*, as_json: JsonArrayOption = False, state_dir: StateDirOption = None) -> None:
    """Check everything the service depends on, and name the remedy for each problem.

    Checks the running demo, unless S1_BINANCE_* or S1_REDIS_ADDRESSES name
    something else. Exit code 1 if a check fails; warnings do not count.
    """
    from chimera_s1.app.cli.doctor.checks import run_checks  # noqa: PLC0415 (help is quick)

    with StatusLine() as progress:
        progress.show("checking")
        results = anyio.run(run_checks, os.environ, state_dir)
    if as_json:
        print_json(results)
    else:
        _print(results)
    if any(result.grade is CheckGrade.FAIL for result in results):
        raise typer.Exit(1)


def _print(results: Sequence[CheckResult]) -> None:
    console = stdout_console()
    for result in results:
        grade = Text(f"{result.grade:<4}", style=_STYLES[result.grade])
        _print_hanging(console, Text.assemble(grade, f" {result.name:<14} "), result.detail)
        if result.remedy:
            _print_hanging(console, Text(" " * 20), f"-> {result.remedy}")


def _print_hanging(console: Console, label: Text, text: str) -> None:
    """*text* beside *label*; in a terminal it wraps in its own column."""
    if not console.is_terminal:
        console.print(label, text, sep="", markup=False)
        return
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(text))
    console.print(grid)
