"""Progress of something counted: a bar in a terminal, a line every ten seconds elsewhere."""

from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chimera_s1.app.cli.shared.output import LINE_INTERVAL_MS, print_status, stderr_console
from chimera_s1.domain.ports.clock import Clock


class CountProgress:
    """Printed on standard error, so that results can go to standard output."""

    def __init__(self, activity: str, unit: str, total: int, clock: Clock) -> None:
        """Args:
            activity: For example `verifying`.

        unit: What is counted, in the plural.

        total: As far as it is known.

        clock: For the interval between lines.
        """
        console = stderr_console()
        self._activity = activity
        self._unit = unit
        self._total = total
        self._clock = clock
        self._due_ms = clock.monotonic_ms() + LINE_INTERVAL_MS
        self._bar = Progress(
            TextColumn(activity),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"{unit}{{task.fields[note]}}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(activity, total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, note: str = "") -> None:
        """Show that *done* are done; *note* follows the unit."""
        self._total = max(self._total, done)
        self._bar.update(self._task, completed=done, total=self._total, note=note)
        if self._bar.disable and self._clock.monotonic_ms() >= self._due_ms:
            self._due_ms += LINE_INTERVAL_MS
            print_status(f"{self._activity}: {done} of {self._total} {self._unit}{note}")
