"""The table of `tail`: which columns and rows a terminal has room for."""

from collections.abc import Sequence

from msgspec import Struct
from rich.table import Table

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.ports.quote_reader import PublishedQuote
from chimera_s1_client.quote import Condition

HEADINGS = {
    "bid": "bid",
    "ask": "ask",
    "mid": "mid",
    "spread": "spread bps",
    "top1": "top1 USDT",
    "age": "age ms",
    "state": "state",
    "source": "source",
}
"""By the name of the column in `--columns`; the instrument is always shown."""

ALL_COLUMNS = tuple(HEADINGS)
UNTRUSTED_STYLE = "yellow"
_LEFT_OUT_FIRST = ("source", "mid", "spread", "top1", "age", "ask", "state")
_INSTRUMENT = "instrument"
_BORDER, _PER_COLUMN = 1, 3
"""Width of the table's own characters: at its edge, and for each column."""


class Row(Struct, frozen=True):
    """A quote as text; *cells* by name of the column."""

    instrument: str
    entry_id: str
    cells: dict[str, str]


def row_of(quote: PublishedQuote, state: str, now_ms: int) -> Row:
    """Age is *now_ms* minus the quote's ts."""
    fields = dict(quote.fields)
    return Row(
        str(quote.instrument),
        quote.entry_id,
        {
            "bid": fields["bid1"],
            "ask": fields["ask1"],
            "mid": decimal_text(float(f"{float(fields['mid']):.10g}")),
            "spread": f"{float(fields['spread_bps']):.2f}",
            "top1": f"{float(fields['top1_usdt']):,.0f}",
            "age": str(now_ms - int(fields["ts"])),
            "state": state,
            "source": fields["src"],
        },
    )


def parse_columns(text: str) -> tuple[str, ...]:
    """Read `bid,ask,age`.

    Raises:
        InvalidValueError: One of them does not exist.
    """
    names = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    unknown = [name for name in names if name not in HEADINGS]
    if unknown or not names:
        raise InvalidValueError(
            f"--columns {text}: no column {', '.join(unknown) or 'is named'}; "
            f"name some of {', '.join(HEADINGS)}"
        )
    return names


def columns_that_fit(rows: Sequence[Row], columns: Sequence[str], width: int) -> tuple[str, ...]:
    """Those of *columns* that *width* has room for without cutting a figure."""
    shown = list(columns)
    for name in _LEFT_OUT_FIRST:
        if _width(rows, shown) <= width:
            break
        if name in shown:
            shown.remove(name)
    return tuple(shown)


def quote_table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    table = Table()
    table.add_column(_INSTRUMENT, overflow="fold")
    for name in columns:
        justify = "left" if name in {"state", "source"} else "right"
        table.add_column(HEADINGS[name], justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        trusted = Condition(row.cells["state"]).trusted
        table.add_row(
            row.instrument,
            *(row.cells[name] for name in columns),
            style="" if trusted else UNTRUSTED_STYLE,
        )
    return table


class Pages:
    """Which of the rows are shown where not all of them fit."""

    def __init__(self) -> None:
        self._number = 0

    def turn(self, by: int) -> None:
        self._number += by

    def of(self, rows: Sequence[Row], per_page: int) -> tuple[Sequence[Row], str]:
        """The rows of the page, and `page 2 of 5` if there is more than one."""
        count = max(1, -(-len(rows) // per_page))
        self._number %= count
        start = self._number * per_page
        label = f"page {self._number + 1} of {count}" if count > 1 else ""
        return rows[start : start + per_page], label


def _width(rows: Sequence[Row], columns: Sequence[str]) -> int:
    widths = [max(len(_INSTRUMENT), *(len(row.instrument) for row in rows))]
    widths += [
        max(len(HEADINGS[name]), *(len(row.cells[name]) for row in rows)) for name in columns
    ]
    return _BORDER + sum(width + _PER_COLUMN for width in widths)
