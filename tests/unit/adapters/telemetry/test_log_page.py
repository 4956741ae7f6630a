"""docs/how-to/read-the-log.md says what the formatters write."""

import json
import logging
import re
import time
from pathlib import Path

import pytest

from chimera_s1.adapters.telemetry import log_formats
from chimera_s1.adapters.telemetry.log_formats import HumanFormatter, JsonFormatter, Redaction

PAGE = (Path(__file__).parents[4] / "docs/how-to/read-the-log.md").read_text(encoding="utf-8")
RECORD = {
    "created": 1_772_514_460.893,
    "msecs": 893.0,
    "levelno": logging.WARNING,
    "levelname": "WARNING",
    "name": "chimera_s1.app.example",
    "msg": "%s is lost",
    "args": ("spot-0",),
    "venue": "spot",
}
TABLE_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def example(language: str) -> str:
    """The page's code block in *language*."""
    return PAGE.split(f"```{language}\n")[1].split("\n```")[0]


def rows(section: str) -> list[str]:
    """First cells of the table in *section*."""
    return TABLE_ROW.findall(PAGE.split(f"## {section}\n")[1].split("\n## ")[0])


def record_with_error() -> logging.LogRecord:
    record = logging.makeLogRecord(RECORD)
    record.exc_info = (ValueError, ValueError("closed"), None)
    return record


def test_the_table_has_the_fields_of_a_json_line_in_their_order() -> None:
    line = json.loads(JsonFormatter(Redaction([])).format(record_with_error()))

    assert rows("JSON") == [name for name in line if name != "venue"]
    assert {name: type(line[name]).__name__ for name in rows("JSON")} == {
        name: {"integer": "int", "string": "str"}[kind]
        for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
        if name in line
    }


def test_the_json_example_is_what_the_formatter_writes() -> None:
    assert example("json") == JsonFormatter(Redaction([])).format(logging.makeLogRecord(RECORD))


def test_the_human_example_is_what_the_formatter_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    formatter = HumanFormatter(Redaction([]))
    monkeypatch.setattr(formatter, "converter", time.gmtime)

    assert example("text") == formatter.format(logging.makeLogRecord(RECORD))


def test_the_levels_are_those_of_the_standard_library() -> None:
    names = logging.getLevelNamesMapping()

    assert rows("Levels") == sorted(
        {logging.getLevelName(number) for name, number in names.items() if name != "NOTSET"},
        key=names.__getitem__,
    )


def test_the_quiet_libraries_are_named() -> None:
    assert all(name in PAGE for name in log_formats._QUIET_LOGGERS)
