"""`chimera-s1 config`: show the settings in force."""

import os
from collections.abc import Sequence
from itertools import groupby

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.config.effective_settings import (
    EffectiveSetting,
    SettingOrigin,
    effective_settings,
)
from chimera_s1.app.cli.shared.options import JsonArrayOption
from chimera_s1.app.cli.shared.output import print_json, stdout_console


def config(as_json: JsonArrayOption = False) -> None:
    """Show every setting in force and where it came from; secrets are shown as ***.

    Settings are environment variables S1_*. If some are wrong or unknown, all
    of them are listed with the rule and an example, and the exit code is 2.
    """
    rows = effective_settings(os.environ)
    if as_json:
        print_json(rows)
        return
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows))
        return
    for row in rows:
        typer.echo(f"{row.name}={row.value}  # {row.origin}; {row.rule}")


def _table(rows: Sequence[EffectiveSetting]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True)
    table.add_column("rule", overflow="fold")
    groups = list(dict.fromkeys(row.group for row in rows))
    ordered = sorted(rows, key=lambda row: groups.index(row.group))
    for group, members in groupby(ordered, key=lambda row: row.group):
        table.add_section()
        table.add_row(Text(group, style="bold"))
        for row in members:
            style = "dim" if row.origin is SettingOrigin.DEFAULT else "green"
            table.add_row(
                row.name, Text(row.value or "-"), Text(row.origin, style=style), Text(row.rule)
            )
    return table
