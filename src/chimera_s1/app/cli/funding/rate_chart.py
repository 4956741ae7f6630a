"""A chart of rates as lines of text: bars up and down from zero, in blocks of characters."""

from collections.abc import Sequence
from decimal import Decimal
from math import ceil

ROWS = 8
BAR_WIDTH_MAX = 4

_LABEL = 11
_UP = " ▁▂▃▄▅▆▇█"
_DOWN = " ▀█"
"""Unicode has eighths from below, from above only halves."""


def chart_lines(rates: Sequence[Decimal], width: int, ends: tuple[str, str]) -> tuple[str, ...]:
    """At most *width* columns; *ends* are written below the first and the last bar.

    Where there are more rates than columns, a bar is that of its rates which is farthest from zero.
    """
    bars, bar_width = _bars([float(rate) for rate in rates], width - _LABEL)
    if not any(bars):
        return ()
    top, bottom = max(0.0, *bars), max(0.0, *(-bar for bar in bars))
    per_row = (top + bottom) / ROWS
    above, below = _rows(top, per_row), _rows(bottom, per_row)
    lines = [_row(bars, bar_width, per_row, row, _UP) for row in reversed(range(above))]
    negated = [-bar for bar in bars]
    lines += [_row(negated, bar_width, per_row, row, _DOWN) for row in range(below)]
    labels = [""] * len(lines)
    if above:
        labels[0] = _percent(top)
    if below:
        labels[-1] = _percent(-bottom)
    shown = [f"{label:>{_LABEL - 1}} {line}" for label, line in zip(labels, lines, strict=True)]
    return (*map(str.rstrip, shown), _axis(ends, len(bars) * bar_width))


def _bars(rates: Sequence[float], columns: int) -> tuple[list[float], int]:
    """A height for each bar, and how many columns it takes, its gap included."""
    if len(rates) > columns:
        size = ceil(len(rates) / columns)
        starts = range(0, len(rates), size)
        return [max(rates[start : start + size], key=abs) for start in starts], 1
    return list(rates), min(BAR_WIDTH_MAX, columns // max(1, len(rates)))


def _rows(height: float, per_row: float) -> int:
    return max(1, round(height / per_row)) if height else 0


def _row(bars: Sequence[float], bar_width: int, per_row: float, row: int, blocks: str) -> str:
    solid = max(1, bar_width - 1)
    return "".join(
        (_block(bar / per_row - row, blocks, seen=row == 0 and bar > 0) * solid).ljust(bar_width)
        for bar in bars
    )


def _block(height: float, blocks: str, *, seen: bool) -> str:
    """What fills *height* rows of one; the least block where a low bar is to be *seen*."""
    steps = len(blocks) - 1
    return blocks[max(1 if seen else 0, min(steps, round(height * steps)))]


def _percent(rate: float) -> str:
    return f"{rate * 100:.4f} %"


def _axis(ends: tuple[str, str], columns: int) -> str:
    first, last = ends
    gap = columns - len(first) - len(last)
    text = f"{first}{' ' * gap}{last}" if gap > 0 else first
    return f"{'':{_LABEL}}{text}"
