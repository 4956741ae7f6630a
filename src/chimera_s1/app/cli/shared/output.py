"""Output of the commands: tables and colour in a terminal, plain lines elsewhere.

Results go to standard output, everything else to standard error, so that output can be piped.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Self, TextIO

import msgspec
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status

from chimera_s1.domain.printable import escape_json, escape_lines, escape_unprintable

LINE_INTERVAL_MS = 10_000
REDRAW_INTERVAL_MS = 250


class SafeConsole(Console):
    """A console that escapes control characters in what it prints, and takes no markup in it."""

    def __init__(self, file: TextIO, *, soft_wrap: bool = False) -> None:
        super().__init__(file=file, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment  # of the console itself, as the cursor of a redrawn table
            else:
                yield Segment(escape_lines(segment.text), segment.style)


def stdout_console() -> Console:
    return SafeConsole(sys.stdout, soft_wrap=not sys.stdout.isatty())


def stderr_console() -> Console:
    return SafeConsole(sys.stderr)


def print_line(text: str) -> None:
    """Print a line, or several, on standard output."""
    typer.echo(escape_lines(text))


def print_status(text: str) -> None:
    """Print a line for people on standard error."""
    typer.echo(escape_lines(text), err=True)


def print_json(value: object) -> None:
    """Print *value* as indented JSON on standard output."""
    typer.echo(escape_json(msgspec.json.format(msgspec.json.encode(value)).decode()))


def print_json_line(value: object) -> None:
    """Print *value* as JSON on one line of standard output."""
    print_json_text(msgspec.json.encode(value).decode())


def print_json_text(encoded: str) -> None:
    """Print JSON as it is on standard output."""
    typer.echo(escape_json(encoded))


def print_cells(cells: Iterable[str]) -> None:
    """Print one line of cells, separated by tabs, on standard output."""
    typer.echo("\t".join(map(escape_unprintable, cells)))


def aligned_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """*cells* in columns: the first to the left, the others to the right, the last unpadded."""
    first, *numbers, last = map(escape_unprintable, cells)
    middle = [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
    return "  ".join((first.ljust(widths[0]), *middle, last)).rstrip()


class StatusLine:
    """The current activity: one redrawn line in a terminal; elsewhere a line for each change."""

    def __init__(self) -> None:
        console = stderr_console()
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
