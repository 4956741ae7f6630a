"""Log lines without secrets."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.telemetry.log_formats import (
    LogFormat,
    Redaction,
    configure_command_logging,
    configure_logging,
)
from tests.unit.domain.strategies import texts_with_controls

SECRET = 'p"a\\ss/w ord'
LOG = logging.getLogger("chimera_s1.app.example")


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    quiet = {name: logging.getLogger(name).level for name in ("uvicorn", "httpx2", "httpcore2")}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def configured(log_format: LogFormat, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(log_format, level, [SECRET, ""], stream=stream)
    return stream


def test_a_json_line_has_the_expected_fields() -> None:
    stream = configured("json")

    LOG.warning("lost %s", "spot-0", extra={"retry_count": 3, "venue": "spot", "ts": "not this"})

    [line] = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert list(fields)[:4] == ["ts", "level", "logger", "message"]
    assert isinstance(fields["ts"], int)
    assert (fields["level"], fields["logger"]) == ("WARNING", "chimera_s1.app.example")
    assert (fields["message"], fields["retry_count"], fields["venue"]) == ("lost spot-0", 3, "spot")


def test_a_human_line_is_short() -> None:
    stream = configured("human")

    LOG.info("ready", extra={"url": "http://127.0.0.1:8080"})

    date, time, rest = stream.getvalue().split(" ", 2)
    assert (date.count("-"), time.count(":")) == (2, 2)
    assert rest == "INFO    app.example: ready url=http://127.0.0.1:8080\n"


def fail() -> None:
    raise ValueError(f"cannot log in with {SECRET}")


@pytest.mark.parametrize("log_format", ["json", "human"])
def test_no_line_contains_a_secret(log_format: LogFormat) -> None:
    """In the message, its arguments, nested fields and exceptions, in any spelling."""
    stream = configured(log_format)

    LOG.info("password %s", SECRET)
    LOG.info("redis://user:%s@host", quote(SECRET, safe=""))
    LOG.info("body %s", json.dumps({"password": SECRET}))
    LOG.info("repr %r", [SECRET])
    LOG.info("field", extra={"settings": {"nested": [SECRET, 1]}})
    try:
        fail()
    except ValueError:
        LOG.exception("failed", stack_info=True)

    text = stream.getvalue()
    assert text.count("***") >= 6
    for spelling in (SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1]):
        assert spelling not in text
    assert "ss/w" not in text
    assert "ValueError: cannot log in with ***" in text
    assert "Stack (most recent call last)" in text


def test_a_json_line_is_one_line_even_with_an_exception() -> None:
    stream = configured("json")

    try:
        fail()
    except ValueError:
        LOG.exception("failed")

    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["exception"].startswith("Traceback (most recent call last):")


def test_a_numeric_secret_is_masked() -> None:
    redaction = Redaction(["8812"])

    assert redaction.redact_value({"a": 8812, "b": 12, "8812": None}) == {
        "a": "***",
        "b": 12,
        "***": None,
    }


@pytest.mark.parametrize("log_format", ["json", "human"])
@given(hostile=texts_with_controls)
def test_no_control_character_reaches_a_log_line(log_format: LogFormat, hostile: str) -> None:
    """Not from a message, its arguments, fields, or an exception."""
    stream = configured(log_format)

    try:
        raise ValueError(hostile)
    except ValueError:
        LOG.exception("closed: %s", hostile, extra={"reason": hostile, "nested": [hostile]})

    first, *more = stream.getvalue().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in (first, *more))
    assert all(line.startswith("    ") for line in more)
    if log_format == "json":
        assert not more
        assert json.loads(first)["reason"] == hostile


def test_a_command_logs_warnings_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger().handlers.clear()
    configure_command_logging()

    LOG.warning("skipped %s", "a\x1b[2Jb\nerror: c")

    assert capsys.readouterr().err == "skipped a\\x1b[2Jb\n    error: c\n"


@given(st.lists(st.text('abc"%', min_size=1), max_size=4), st.text('abc"% '))
def test_redaction_leaves_no_secret(secrets: list[str], text: str) -> None:
    """Also if one secret contains another, or two overlap."""
    redacted = Redaction(secrets).redact_text(text)

    assert not any(secret in redacted for secret in secrets)


@given(st.lists(st.text('abc"%', min_size=1), max_size=4), st.text("xyz \n"))
def test_redaction_changes_no_other_text(secrets: list[str], text: str) -> None:
    assert Redaction(secrets).redact_text(text) == text


@pytest.mark.parametrize(
    "name", ["uvicorn.error", "httpx2", "httpcore2.http11", "redis", "asyncio"]
)
def test_libraries_log_from_warning_on(name: str) -> None:
    """Also at level debug: httpx2 would log whole URLs."""
    stream = configured("json", "debug")

    logging.getLogger(name).info("GET https://host/path?signature=1")
    assert stream.getvalue() == ""
    logging.getLogger(name).warning("something is wrong")
    assert json.loads(stream.getvalue())["logger"] == name


def test_the_http_client_logs_no_url() -> None:
    stream = configured("json", "debug")
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    url = "https://host/path?signature=1"

    with httpx2.Client(transport=transport) as client:
        client.get(url)
        silent = stream.getvalue()
        logging.getLogger("httpx2").setLevel(logging.INFO)
        client.get(url)

    assert silent == ""
    assert url in stream.getvalue()  # the library logs under that name


def test_records_below_the_level_are_not_logged() -> None:
    stream = configured("json", "error")

    LOG.warning("not shown")
    LOG.error("shown")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["shown"]


def test_python_warnings_are_logged() -> None:
    stream = configured("json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert json.loads(stream.getvalue())["logger"] == "py.warnings"


def test_a_record_that_cannot_be_formatted_does_not_show_its_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = configured("json")

    LOG.info("two %s %s", SECRET)  # noqa: PLE1206 (the mistake under test)

    assert stream.getvalue().startswith("log record of chimera_s1.app.example:")
    assert SECRET not in stream.getvalue()
    assert capsys.readouterr().err == ""


def test_a_closed_standard_error_does_not_stop_the_service() -> None:
    stream = configured("json")
    stream.close()

    LOG.info("into the void")

    assert stream.closed
