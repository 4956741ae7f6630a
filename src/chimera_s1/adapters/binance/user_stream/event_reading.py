"""Reads events of a private stream: what is unknown is named, what is unreadable says why."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.adapters.binance.streams.book_messages import DECODE_ERRORS
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.ports.account_stream import StreamEvent

_NAME_CHARS_MAX = 64


class UserEvent(Struct, frozen=True, kw_only=True):
    """Attributes:
    name: Binance's, its `e`; empty where the message has none.
    reports: What it says of the account, in its order.
    known: False where this version does not know the name.
    problem: Why something of it could not be read; empty otherwise.
    """

    name: str
    reports: tuple[StreamEvent, ...] = ()
    known: bool = True
    problem: str = ""


class Reading(Struct, frozen=True):
    """*problem* says which rows of the event are missing in *reports*."""

    reports: tuple[StreamEvent, ...] = ()
    problem: str = ""


ReadEvent: TypeAlias = Callable[[bytes | Raw], Reading]
"""Raises a msgspec error or `InvalidValueError` where nothing of the event can be read."""


class _Named(Struct):
    e: str


_name_decoder = msgspec.json.Decoder(_Named)


def read_event(raw: bytes | Raw, readers: Mapping[str, ReadEvent]) -> UserEvent:
    """Never raises. A problem shows nothing that may be a key."""
    name = ""
    try:
        name = _name_decoder.decode(raw).e
        reader = readers.get(name)
        if reader is None:
            return UserEvent(name=_shown(name), known=False)
        reading = reader(raw)
    except (*DECODE_ERRORS, InvalidValueError) as error:
        return UserEvent(name=_shown(name), problem=_problem(name, error))
    problem = f"a row of {_problem(name, reading.problem)}" if reading.problem else ""
    return UserEvent(name=name, reports=reading.reports, problem=problem)


def read_rows(
    rows: Iterable[Raw], read: Callable[[Raw], StreamEvent]
) -> tuple[list[StreamEvent], str]:
    """A row that cannot be read does not cost the others: the reports, and the last problem."""
    reports: list[StreamEvent] = []
    problem = ""
    for row in rows:
        try:
            reports.append(read(row))
        except (*DECODE_ERRORS, InvalidValueError) as error:
            problem = str(error)
    return reports, problem


def passed_over(_: bytes | Raw) -> Reading:
    """Of an event that says nothing that is used here."""
    return Reading()


def _problem(name: str, error: Exception | str) -> str:
    subject = f"event {_shown(name)}" if name else "a message"
    return f"{subject} cannot be read: {sanitize(str(error))}"


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:_NAME_CHARS_MAX])
