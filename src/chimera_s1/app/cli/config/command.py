"""`chimera-s1 config`: show the settings in force."""

import os
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from chimera_s1.app.cli.config.effective_settings import (
    EffectiveSetting,
    SettingOrigin,
    effective_settings,
)
from chimera_s1.app.cli.shared.options import JsonArrayOption
from chimera_s1.app.cli.shared.output import print_json, print_line, stdout_console


def config(as_json: JsonArrayOption = False) -> None:
    """Show every setting in force and where it came from; secrets are shown as ***.

    Settings are environment variables S1_*. In a terminal they are grouped, and
    what is not a default is green; elsewhere each is one line. If some are wrong
    or unknown, all of them are listed with the rule and an example, and the
    exit code is 2.
    """
    rows = effective_settings(os.environ)
    if as_json:
        print_json(rows)
        return
    console = stdout_console()
    if console.is_terminal:
        _print_groups(console, rows)
        return
    for row in rows:
        print_line(f"{row.name}={row.value}  # {row.origin}; {row.rule}")


def _print_groups(console: Console, rows: Sequence[EffectiveSetting]) -> None:
    groups = list(dict.fromkeys(row.group for row in rows))
    ordered = sorted(rows, key=lambda row: groups.index(row.group))
    for group, members in groupby(ordered, key=lambda row: row.group):
        console.print(Text(f"\n{group}", style="bold"))
        for row in members:
            console.print(Padding(_setting(row), (0, 0, 0, 2)))
            console.print(Padding(Text(row.rule, style="dim"), (0, 0, 0, 6)))


def _setting(row: EffectiveSetting) -> Text:
    given = row.origin is not SettingOrigin.DEFAULT
    text = Text(f"{row.name}={row.value}", style="green" if given else "", overflow="fold")
    return text.append(f"  from {row.origin}", style="dim") if given else text
