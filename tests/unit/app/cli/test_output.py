"""What the commands print: no control character of others reaches a terminal."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from rich.table import Table

from chimera_s1.app import cli
from chimera_s1.app.cli.shared import output
from tests.unit.domain.strategies import texts_with_controls

CLI = Path(str(cli.__file__)).parent
HOSTILE = "a\x1b[2J\x9b31m\u202eb\rc[red]d[/red]:smile:"

each_text = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@each_text
@given(hostile=texts_with_controls)
def test_lines_and_json_are_printable(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.print_line(hostile)
    output.print_status(hostile)
    output.print_json({"reason": hostile})
    output.print_json_line([hostile])
    output.print_cells([hostile, "b"])
    output.print_line(output.aligned_line([hostile, "1", hostile], [3, 3]))

    shown = capsys.readouterr()
    for line in (shown.out + shown.err).split("\n"):
        assert line.replace("\t", "").isprintable()


@each_text
@given(hostile=texts_with_controls)
def test_tables_are_printable(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name", "value")
    table.add_row(hostile, hostile)

    output.stdout_console().print(table, hostile)

    assert all(line.isprintable() for line in capsys.readouterr().out.split("\n"))


def test_colours_of_a_terminal_are_kept_and_markup_is_text() -> None:
    terminal = io.StringIO()
    console = output.SafeConsole(terminal)
    console._force_terminal = True

    console.print(HOSTILE, style="red", soft_wrap=True)

    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert shown == "a\\x1b[2J\\x9b31m\\u202ebc[red]d[/red]:smile:\n"


def test_nothing_else_writes_to_a_terminal() -> None:
    """Every command prints through `output`."""
    writers = re.compile(r"\btyper\.(?:echo|secho)\(|(?<!\w)print\(|\bConsole\(")
    found = {
        str(file.relative_to(CLI))
        for file in CLI.rglob("*.py")
        for line in file.read_text().splitlines()
        if writers.search(line) and "console.print(" not in line
    }
    assert found <= {"shared/output.py"}
