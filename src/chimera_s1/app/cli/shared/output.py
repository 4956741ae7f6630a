"""What commands print on: tables and colour in a terminal, plain lines everywhere else.

Results go to standard output, everything else to standard error, so that output can be piped on.
"""

import sys
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.status import Status

LINE_INTERVAL_MS = 10_000
REDRAW_INTERVAL_MS = 250


def stdout_console() -> Console:
    """Standard output; `is_terminal` says whether anything may be redrawn or coloured."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def print_status(text: str) -> None:
    """A line for the person at the keyboard."""
    typer.echo(text, err=True)


class StatusLine:
    """What is going on now: one line that is redrawn in a terminal, a line for each
    news elsewhere.
    """

    def __init__(self) -> None:
        console = Console(file=sys.stderr, highlight=False)
        self._status = Status("", console=console) if console.is_terminal else None
        self._last = ""

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def interval_ms(self) -> int:
        """How often a count that always grows is worth showing, ms."""
        return LINE_INTERVAL_MS if self._status is None else REDRAW_INTERVAL_MS

    def show(self, text: str) -> None:
        """Say what is going on now."""
        if self._status is not None:
            self._status.update(text)
        elif text != self._last:
            print_status(text)
        self._last = text

    def stop(self) -> None:
        """Nothing more is going on: remove the redrawn line."""
        if self._status is not None:
            self._status.stop()
