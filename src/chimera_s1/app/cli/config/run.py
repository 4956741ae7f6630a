"""Printing the settings in force."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from chimera_s1.app.cli.config.effective_settings import (
    EffectiveSetting,
    SettingOrigin,
    effective_settings,
)
from chimera_s1.app.cli.shared.output import print_json, print_line, stdout_console


def print_settings(environ: Mapping[str, str], *, as_json: bool) -> None:
    """Print a row for each setting.

    Raises:
        ConfigurationError: Some are wrong or unknown.
    """
    rows = effective_settings(environ)
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
