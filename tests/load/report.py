"""What a benchmark prints: tables in Markdown, with targets, and what it could not measure."""

import sys
from collections.abc import Sequence

from msgspec import Struct


class Row(Struct, frozen=True):
    """A line of a table.

    Attributes:
        what: What was measured.

        measured: The figure, with its unit.

        target: What it should be; empty for a figure without a target.

        reached: Whether it is so; None for a figure without a target.
    """

    what: str
    measured: str
    target: str = ""
    reached: bool | None = None


class Report:
    """Collects tables and prints each as soon as it is there.

    A target that is missed is printed, not raised. What measured nothing is a problem, and makes
    the exit code 1: a table of zeros looks like speed.
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
        """Print *lines*, the first being the head."""
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
        """Note what went wrong while measuring."""
        self.problems.append(text)
        say(f"\n**Not measured: {text}**")

    def end(self) -> int:
        """Print which targets were missed; the exit code."""
        if self.missed:
            say(
                "\nTargets missed in this run:\n\n" + "\n".join(f"- {line}" for line in self.missed)
            )
        return 1 if self.problems else 0


def say(text: str) -> None:
    """Print *text* now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
