"""`chimera-s1 config`: the settings in force."""

import os
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.shared.output import stdout_console
from chimera_s1.app.settings.report import EffectiveSetting, SettingOrigin, effective_settings


def config(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array instead of a table.")
    ] = False,
) -> None:
    """Show every setting in force and where it came from; secrets are shown as ***.

    Settings are environment variables S1_*. Wrong or unknown ones are all listed at once, with
    the rule and an example, and the exit code is 2.
    """
    rows = effective_settings(os.environ)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows))
        return
    for row in rows:
        typer.echo(f"{row.name}={row.value}  # {row.origin}; {row.rule}")


def _table(rows: Sequence[EffectiveSetting]) -> Table:
    table = Table("setting", "value", "from", "rule")
    for group, members in groupby(rows, key=lambda row: row.group):
        table.add_section()
        table.add_row(Text(group, style="bold"))
        for row in members:
            style = "dim" if row.origin is SettingOrigin.DEFAULT else "green"
            table.add_row(
                row.name, Text(row.value or "-"), Text(row.origin, style=style), Text(row.rule)
            )
    return table
