"""Log lines on standard error, as JSON or for a terminal, without secrets."""

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO
from urllib.parse import quote, quote_plus

import msgspec

from chimera_s1.domain.printable import escape_json, escape_lines

LogFormat = Literal["json", "human"]

MASK = "***"

_QUIET_LOGGERS = ("uvicorn", "httpx2", "httpcore2", "redis", "asyncio", "picows")
"""Shown from WARNING on. httpx2 logs URLs with the query, which contains the request signature."""

_CONTINUED = "    "
"""Starts the further lines of a record: a text of others cannot look like a record of its own."""

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redaction:
    """Replaces secrets in text: plain, URL-quoted, and escaped as in JSON or a Python literal."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = {secret for secret in secrets if secret}
        self._compile()

    def add(self, secret: str) -> None:
        """From now on; the others stay secret."""
        self._secrets.add(secret)
        self._compile()

    def _compile(self) -> None:
        spellings = {spelling for secret in self._secrets for spelling in _spellings(secret)}
        # Longest first, in case one secret contains another.
        ordered = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def redact_text(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def redact_value(self, value: object) -> object:
        """The value as JSON types."""
        match value:
            case None | bool():
                return value
            case int() | float():
                shown = self.redact_text(str(value))
                return value if shown == str(value) else shown
            case Mapping():
                return {
                    self.redact_text(str(key)): self.redact_value(item)
                    for key, item in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self.redact_value(item) for item in value]
            case _:
                return self.redact_text(str(value))


def configure_logging(
    log_format: LogFormat, level: str, secrets: Sequence[str], *, stream: TextIO | None = None
) -> Redaction:
    """Configure logging of the process; *secrets* are replaced by `***` in every line, as are those
    that are added later to what is returned.
    """
    redaction = Redaction(secrets)
    handler = _SafeStderr(stream or sys.stderr)
    handler.setFormatter(
        JsonFormatter(redaction) if log_format == "json" else HumanFormatter(redaction)
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    return redaction


class JsonFormatter(logging.Formatter):
    """One JSON object per line: `ts` (epoch ms), `level`, `logger`, `message`, extra fields, and
    `exception`.
    """

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": int(record.created * 1000),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redaction.redact_text(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, self._redaction.redact_value(value))
        if traceback := _traceback(self, record):
            line["exception"] = self._redaction.redact_text(traceback)
        return escape_json(msgspec.json.encode(line).decode())


class HumanFormatter(logging.Formatter):
    """`2026-11-23 15:25:01.123 INFO    app.runtime: message field=value`, local time."""

    default_msec_format = "%s.%03d"

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("chimera_s1.")
        fields = "".join(f" {field}={value}" for field, value in _fields(record).items())
        head = f"{self.formatTime(record)} {record.levelname:<7} {name}: "
        traceback = _traceback(self, record)
        tail = f"\n{traceback}" if traceback else ""
        text = self._redaction.redact_text(f"{head}{record.getMessage()}{fields}{tail}")
        return escape_lines(text, indent=_CONTINUED)


class PlainFormatter(logging.Formatter):
    """Of commands: the message alone."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record), indent=_CONTINUED)


def configure_command_logging() -> None:
    """Warnings of a command on standard error, until `configure_logging`; no more than once."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


class _SafeStderr(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the standard library's name)
        # The library would print the arguments, secrets included.
        try:
            self.stream.write(f"log record of {record.name}:{record.lineno} could not be written\n")
        except (OSError, ValueError):
            return  # Standard error is closed: no way to report it.


def _spellings(secret: str) -> tuple[str, ...]:
    return (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    )


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts: list[str] = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
