"""`chimera-s1 doctor`: is everything there that the service depends on?"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer
from rich.text import Text

from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult
from chimera_s1.app.cli.shared.output import StatusLine, stdout_console

_STYLES = {CheckGrade.OK: "green", CheckGrade.WARN: "yellow", CheckGrade.FAIL: "red"}


def doctor(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array instead of lines.")
    ] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of the demo. Default: S1_STATE_DIR, else .chimera."),
    ] = None,
) -> None:
    """Check each thing the service depends on, and say what to do about what is wrong.

    Checks the demo where one runs, unless S1_BINANCE_* or S1_REDIS_* name something else. Exit
    code 1 where a check fails; warnings do not count.
    """
    from chimera_s1.app.cli.doctor.checks import run_checks  # noqa: PLC0415 (help is quick)

    with StatusLine() as progress:
        progress.show("checking")
        findings = anyio.run(run_checks, os.environ, state_dir)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        _print(findings)
    if any(finding.grade is CheckGrade.FAIL for finding in findings):
        raise typer.Exit(1)


def _print(findings: Sequence[CheckResult]) -> None:
    console = stdout_console()
    for finding in findings:
        grade = Text(f"{finding.grade:<4}", style=_STYLES[finding.grade])
        console.print(grade, f" {finding.name:<14} {finding.detail}", sep="", markup=False)
        if finding.remedy:
            console.print(f"{'':<20}-> {finding.remedy}", markup=False)
