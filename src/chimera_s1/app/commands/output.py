"""
What commands print on: tables and colour in a terminal, plain lines everywhere else.
"""

import sys
from collections.abc import Callable

import typer
from rich.console import Console


def terminal() -> Console:
    """
    Standard output; `is_terminal` says whether anything may be redrawn or coloured.
    """
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def note(text: str) -> None:
    """
    A line for the person at the keyboard, on standard error, so that output can be piped on.
    """
    typer.echo(text, err=True)


def note_changes() -> Callable[[str], None]:
    """
    A `note` that says nothing twice in a row: progress for a pipe or a log file.
    """
    last = ""

    def once(text: str) -> None:
        nonlocal last
        if text != last:
            note(text)
            last = text

    return once
