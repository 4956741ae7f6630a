"""Output of the commands: tables and colour in a terminal, plain lines elsewhere.

Results go to standard output, everything else to standard error, so that output can be piped.
"""

import sys
from collections.abc import Sequence
from typing import Self

import msgspec
import typer
from rich.console import Console
from rich.status import Status

LINE_INTERVAL_MS = 10_000
REDRAW_INTERVAL_MS = 250


def stdout_console() -> Console:
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def print_status(text: str) -> None:
    """Print a line for people on standard error."""
    typer.echo(text, err=True)


def print_json(value: object) -> None:
    """Print *value* as indented JSON on standard output."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def aligned_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """*cells* in columns: the first to the left, the others to the right, the last unpadded."""
    first, *numbers, last = cells
    middle = [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
    return "  ".join((first.ljust(widths[0]), *middle, last)).rstrip()


class StatusLine:
    """The current activity: one redrawn line in a terminal; elsewhere a line for each change."""

    def __init__(self) -> None:
        console = Console(file=sys.stderr, highlight=False)
        self._status = Status("", console=console) if console.is_terminal else None
        self._last = ""

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def interval_ms(self) -> int:
        """How often to show a growing count, ms."""
        return LINE_INTERVAL_MS if self._status is None else REDRAW_INTERVAL_MS

    def show(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
        elif text != self._last:
            print_status(text)
        self._last = text

    def stop(self) -> None:
        """Remove the redrawn line."""
        if self._status is not None:
            self._status.stop()
