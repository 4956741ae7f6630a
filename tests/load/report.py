"""Output of a benchmark: Markdown tables with targets, and measuring problems."""

import sys
from collections.abc import Sequence

from msgspec import Struct


class Row(Struct, frozen=True):
    """A line of a table; *target* is empty and *reached* None for a figure without a target."""

    what: str
    measured: str
    target: str = ""
    reached: bool | None = None


class Report:
    """Prints each table at once and collects missed targets and problems.

    A missed target is only printed. A benchmark that measured nothing makes the exit code 1.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.missed: list[str] = []

    def table(self, title: str, rows: Sequence[Row], note: str = "") -> None:
        """Print *rows* under *title*."""
        verdicts = {True: "yes", False: "**no**", None: ""}
        grid = [
            ("", "measured", "target", "reached"),
            *((row.what, row.measured, row.target, verdicts[row.reached]) for row in rows),
        ]
        self.grid(title, grid, note)
        self.missed += [
            f"{title}: {row.what}: {row.measured} (target: {row.target})"
            for row in rows
            if row.reached is False
        ]

    def grid(self, title: str, lines: Sequence[Sequence[str]], note: str = "") -> None:
        """Print *lines*; the first is the header."""
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        head, *body = [
            "| " + " | ".join(map(str.ljust, line, widths)).rstrip() + " |" for line in lines
        ]
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        parts = [f"\n### {title}\n", head, rule, *body]
        if note:
            parts += ["", note]
        say("\n".join(parts))

    def problem(self, text: str) -> None:
        """Record and print a measuring problem."""
        self.problems.append(text)
        say(f"\n**Not measured: {text}**")

    def end(self) -> int:
        """Print the missed targets; returns the exit code."""
        if self.missed:
            say(
                "\nTargets missed in this run:\n\n" + "\n".join(f"- {line}" for line in self.missed)
            )
        return 1 if self.problems else 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
