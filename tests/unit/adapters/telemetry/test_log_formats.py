"""Logs: one line a record, secrets in none of them."""

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

from chimera_s1.adapters.telemetry.log_formats import LogFormat, Redaction, configure_logging

SECRET = 'p"a\\ss/w ord'
LOG = logging.getLogger("chimera_s1.app.example")


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
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


def test_a_json_line_has_what_machines_look_for() -> None:
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
def test_a_secret_is_in_no_line(log_format: LogFormat) -> None:
    """In the message, its arguments, fields of any depth, exceptions, and however it is spelt."""
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


def test_a_secret_that_is_a_number_is_masked_too() -> None:
    redaction = Redaction(["8812"])

    assert redaction.redact_value({"a": 8812, "b": 12, "8812": None}) == {
        "a": "***",
        "b": 12,
        "***": None,
    }


@given(st.lists(st.text('abc"%', min_size=1), max_size=4), st.text('abc"% '))
def test_redaction_leaves_no_secret(secrets: list[str], text: str) -> None:
    """Also where one secret contains another, or two overlap."""
    redacted = Redaction(secrets).redact_text(text)

    assert not any(secret in redacted for secret in secrets)


@given(st.lists(st.text('abc"%', min_size=1), max_size=4), st.text("xyz \n"))
def test_redaction_touches_nothing_else(secrets: list[str], text: str) -> None:
    assert Redaction(secrets).redact_text(text) == text


@pytest.mark.parametrize(
    "name", ["uvicorn.error", "httpx2", "httpcore2.http11", "redis", "asyncio"]
)
def test_libraries_speak_only_when_something_is_wrong(name: str) -> None:
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
    assert url in stream.getvalue()  # the library does log under that name


def test_the_level_asked_for_is_the_level_shown() -> None:
    stream = configured("json", "error")

    LOG.warning("not shown")
    LOG.error("shown")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["shown"]


def test_warnings_of_python_are_log_lines() -> None:
    stream = configured("json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert json.loads(stream.getvalue())["logger"] == "py.warnings"


def test_a_line_that_cannot_be_written_does_not_show_its_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = configured("json")

    LOG.info("two %s %s", SECRET)  # noqa: PLE1206 (the mistake under test)

    assert stream.getvalue().startswith("a line of chimera_s1.app.example:")
    assert SECRET not in stream.getvalue()
    assert capsys.readouterr().err == ""


def test_a_standard_error_that_is_gone_stops_nobody() -> None:
    stream = configured("json")
    stream.close()

    LOG.info("into the void")

    assert stream.closed
