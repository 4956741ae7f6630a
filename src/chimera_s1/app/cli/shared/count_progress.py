"""How far something has come that is counted: a bar in a terminal, a line now and then
elsewhere.
"""

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chimera_s1.app.cli.shared.output import LINE_INTERVAL_MS, print_status
from chimera_s1.domain.ports.clock import Clock


class CountProgress:
    """On standard error, so that what is counted can go to standard output."""

    def __init__(self, doing: str, unit: str, total: int, clock: Clock) -> None:
        """Args:
        doing: `verifying`.

        unit: What is counted, in the plural.

        total: How many there are, as far as is known.

        clock: When the next line is due.
        """
        console = Console(file=sys.stderr, highlight=False)
        self._doing = doing
        self._unit = unit
        self._total = total
        self._clock = clock
        self._due_ms = clock.monotonic_ms() + LINE_INTERVAL_MS
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(doing, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int) -> None:
        """So many are done."""
        self._total = max(self._total, done)
        self._bar.update(self._task, completed=done, total=self._total)
        if self._bar.disable and self._clock.monotonic_ms() >= self._due_ms:
            self._due_ms += LINE_INTERVAL_MS
            print_status(f"{self._doing}: {done} of {self._total} {self._unit}")
