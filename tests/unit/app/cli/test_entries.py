"""`chimera-s1 entries`: its table and timeline in a terminal, the question before `--disarm`."""

from io import StringIO

import pytest
from msgspec import structs
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from chimera_s1.app.cli.application import app
from chimera_s1.app.cli.entries.replies import EntryDetail, TimelineRow
from chimera_s1.app.cli.entries.text import entry_table, next_line, state_lines, timeline_table
from chimera_s1.domain.errors import ConfigurationError

ENTRY = EntryDetail(
    entry_id="s4-20261128-0001-of-the-momentum-desk",
    venue="perp",
    symbol="1000PEPEUSDT",
    side="SELL",
    state="PARTIALLY_FILLED",
    filled_qty="1234567",
    avg_price="0.0123456",
    protected_qty="1234567",
    closed_qty="0",
    dust="0.5",
    unprotected_ms=12,
    orders=(),
    accepted_at=1_795_910_400_000,
    waiting_for="the limit order, until 12:00:05.000",
    message="a stop is being placed",
    timeline=(TimelineRow(at=1_795_910_400_012, text="stop 1: " + "acknowledged " * 8),),
)


def printed(table: Table, width: int) -> str:
    output = StringIO()
    Console(file=output, width=width, color_system=None).print(table)
    return output.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_a_list_shows_states_and_quantities_whole(width: int) -> None:
    text = printed(entry_table([ENTRY], width), width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("1234567") == 2
    assert "PARTIALLY_FILLED" in text
    assert ("the limit order" in text) is (width == 140)


def test_a_timeline_folds_its_sentences_beside_the_times() -> None:
    first, *_, last = printed(timeline_table(ENTRY), 80).splitlines()

    assert first.startswith("2026-11-29T")
    assert last.rstrip().split(maxsplit=1) == ["next", ENTRY.waiting_for]


def test_the_state_says_what_is_held_and_since_when_it_is_not_protected() -> None:
    assert list(state_lines(ENTRY)) == [
        f"entry {ENTRY.entry_id}: SELL 1000PEPEUSDT on perp, PARTIALLY_FILLED",
        "filled 1234567 at 0.0123456, protected 1234567, closed 0, dust 0.5",
        "a part has been without protection for 12 ms",
        "a stop is being placed",
    ]


@pytest.mark.parametrize(
    ("state", "text"),
    [("PROTECTED", "nothing before one of its orders"), ("CLOSED", "nothing: it has ended")],
)
def test_an_entry_that_waits_for_nothing_says_so(state: str, text: str) -> None:
    assert next_line(structs.replace(ENTRY, state=state, waiting_for="")).startswith(text)


def test_only_disarm_asks_first() -> None:
    """Nothing can be called here: what is not asked ends with that error."""
    cancel = ["entries", "cancel", "s4-1"]
    environment = {"S1_URL": "", "S1_TOKEN": "", "S1_STATE_DIR": "/nowhere"}
    run = CliRunner(env=environment)

    asked = run.invoke(app, [*cancel, "--disarm"], input="n\n")
    assert (asked.exit_code, "without protection?" in asked.output) == (1, True)
    for options in ([], ["--disarm", "--yes"]):
        at_once = run.invoke(app, [*cancel, *options])
        assert isinstance(at_once.exception, ConfigurationError)
        assert "without protection?" not in at_once.output
