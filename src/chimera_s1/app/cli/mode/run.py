"""Runs `mode`: one request to the service, and what its reply says."""

import os
from typing import Literal

import msgspec
from msgspec import Struct

from chimera_s1.app.cli.shared.output import print_json_text, print_line
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import ChimeraError, InvalidValueError
from chimera_s1.domain.operations.halt import REASON_CHARACTERS
from chimera_s1_client import HttpSession, NoReplyError

PATH = "/xchg/mode"


class ModeRequestError(ChimeraError):
    """The service did not answer with its mode."""

    code = "mode.request"


class ModeReply(Struct, frozen=True):
    """What the command shows of the reply."""

    mode: str
    halted: bool | None
    reason: str
    actor: str
    since: int
    failed_connections: tuple[str, ...]
    kill_switch: str
    transfers_refused: str
    entries_refused: str


class _Problem(Struct, frozen=True):
    code: str = ""
    detail: str = ""


async def show_mode(settings: Settings, url: str | None, as_json: bool) -> None:
    """Print the mode.

    Raises:
        ConfigurationError: There is no service to ask.
        ModeRequestError: It did not answer with its mode.
    """
    await _call(settings, url, None, Scope.READ, as_json=as_json)


async def set_halt(
    settings: Settings,
    change: Literal["halt", "resume"],
    reason: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Halt or resume trading, and print the mode after it.

    Raises:
        InvalidValueError: *reason* is empty, too long or not printable.
        ConfigurationError: There is no service to ask.
        ModeRequestError: The service refused, or did not answer: the same command may be repeated.
    """
    if len(reason.strip()) not in REASON_CHARACTERS or not reason.isprintable():
        raise InvalidValueError(
            f"--reason: {REASON_CHARACTERS.start} to {REASON_CHARACTERS.stop - 1} printable "
            "characters are needed"
        )
    body = msgspec.json.encode({"halted": change == "halt", "reason": reason})
    await _call(settings, url, body, Scope.MODE_HALT, as_json=as_json)


async def _call(
    settings: Settings, url: str | None, body: bytes | None, scope: Scope, *, as_json: bool
) -> None:
    service = find_service(url, os.environ, settings, scope)
    try:
        async with HttpSession(service.url, service.token) as session:
            reply = await session.send("GET" if body is None else "POST", PATH, body)
    except NoReplyError as error:
        raise ModeRequestError(f"{error}; the same command may be repeated") from error
    if not reply.ok:
        raise ModeRequestError(f"{service.url}{PATH}: {_problem(reply.body)} ({reply.status})")
    if as_json:
        print_json_text(reply.body.decode())
        return
    try:
        print_line("\n".join(_lines(msgspec.json.decode(reply.body, type=ModeReply))))
    except msgspec.DecodeError as error:
        raise ModeRequestError(f"{service.url}{PATH} answers something else: {error}") from error


def _lines(reply: ModeReply) -> list[str]:
    refusals = {"transfers": reply.transfers_refused, "entries": reply.entries_refused}
    return [
        f"mode         {reply.mode}",
        f"why          {_why(reply)}",
        f"since        {format_utc(reply.since) if reply.since else 'never changed'}",
        f"kill switch  {reply.kill_switch}",
        *(
            f"{what:<12} {f'refused: {why}' if why else 'accepted'}"
            for what, why in refusals.items()
        ),
    ]


def _why(reply: ModeReply) -> str:
    if reply.halted is None:
        return "the store was not read yet: whether trading is halted is not known"
    halt = ""
    if reply.since:
        halt = f"{'halted' if reply.halted else 'resumed'} by {reply.actor}: {reply.reason}"
    failed = ", ".join(reply.failed_connections)
    return "; ".join(filter(None, (halt, f"{failed} out of retries" if failed else ""))) or "-"


def _problem(body: bytes) -> str:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        return "an answer that is no problem document"
    return f"{problem.code}: {problem.detail}"
