"""Making transfers and going on with those that have no answer: find the service, keep,
ask, print.
"""

import random
from collections.abc import Mapping
from typing import assert_never
from uuid import uuid4

import msgspec
import typer
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import print_status
from chimera_s1.app.cli.transfer.client import TransferClient, TransferClientResult
from chimera_s1.app.cli.transfer.replies import (
    RequestRejected,
    RetryNeeded,
    TransferFinished,
    TransferPending,
    TransferUnknown,
)
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers, TransferBody
from chimera_s1.app.cli.transfer.service_client import ServiceClient, find_service
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.money import exact_text, parse_usdt
from chimera_s1.domain.treasury.limits import Wallet, direction_between

OK, FAIL, USAGE_ERROR, PENDING = 0, 1, 2, 3
"""Exit codes."""

_RESUME = "chimera-s1 transfer --resume"


class TransferOptions(Struct, frozen=True):
    """How to ask.

    Attributes:
        url: Of the service; None for S1_URL or the demo's, and with --resume for where each was
            asked for.

        wait_s: How long, for each.

        as_json: Print the last answer's body.
    """

    url: str | None
    wait_s: float
    as_json: bool


def read_transfer_arguments(
    source: Wallet | None,
    target: Wallet | None,
    amount: str | None,
    reason: str,
    transfer_id: str | None,
) -> TransferBody:
    """What was typed, as the service takes it; the id is made where none was given.

    Raises:
        ConfigurationError: Something is missing.

        InvalidValueError: Something cannot be.
    """
    if source is None or target is None or amount is None:
        raise ConfigurationError(
            "from where, to where, and how much? like --from SPOT --to FUTURES --amount 12.5"
        )
    direction_between(source, target)
    return TransferBody(
        transfer_id=parse_transfer_id(str(uuid4()) if transfer_id is None else transfer_id),
        source=source,
        target=target,
        amount_usdt=exact_text(parse_usdt(amount)),
        reason=reason,
    )


async def make_transfer(
    settings: Settings, environ: Mapping[str, str], body: TransferBody, plan: TransferOptions
) -> int:
    """Keep *body*, ask for it, print what came of it; the exit code.

    Raises:
        ConfigurationError: There is no service to ask, it refuses the request, or *body* cannot be
            kept.
    """
    service = find_service(plan.url, environ, settings)
    keeping = SavedTransfers(settings.state_dir)
    kept = _saved(keeping.find(body.transfer_id), body, service.url)
    keeping.save(kept)
    print_status(f"transfer {kept.transfer_id} is kept in {keeping.path(kept.transfer_id)}; asking")
    asking = _make_client(kept, keeping, service, plan.wait_s)
    return _print(await asking.run(), as_json=plan.as_json)


async def resume_transfers(
    settings: Settings, environ: Mapping[str, str], transfer_id: str | None, plan: TransferOptions
) -> int:
    """Go on with *transfer_id*, or with all that have no final answer; PENDING where one still has
    none, else FAIL where one has failed.

    Raises:
        ConfigurationError: There is no service to ask, it refuses a request, or a file cannot be
            read.
    """
    keeping = SavedTransfers(settings.state_dir)
    every = _transfers_to_resume(keeping, transfer_id)
    if not every:
        print_status(f"nothing to resume in {settings.state_dir}")
    codes = {OK}
    for kept in every:
        service = find_service(plan.url or kept.url, environ, settings)
        print_status(f"transfer {kept.transfer_id}: asking {service.url} again, which is safe")
        asking = _make_client(replace(kept, url=service.url), keeping, service, plan.wait_s)
        codes.add(_print(await asking.resume(), as_json=plan.as_json))
    return max(codes)


def _transfers_to_resume(
    keeping: SavedTransfers, transfer_id: str | None
) -> tuple[SavedTransfer, ...]:
    if transfer_id is None:
        return keeping.unfinished()
    kept = keeping.find(parse_transfer_id(transfer_id))
    if kept is None:
        raise ConfigurationError(
            f"{transfer_id} was not asked for from here; chimera-s1 ledger show tells of any"
        )
    return (kept,)


def _saved(before: SavedTransfer | None, body: TransferBody, url: str) -> SavedTransfer:
    now = SystemClock().now_ms()
    if before is None:
        return SavedTransfer(url=url, body=body, kept_at=now)
    if before.body != body:
        raise ConfigurationError(
            f"{body.transfer_id} was used here for another transfer; leave --id out for a new one"
        )
    if before.url != url:
        raise ConfigurationError(
            f"{body.transfer_id} was asked for at {before.url}, not at {url}; leave --id out for a "
            "new transfer"
        )
    return replace(before, kept_at=now, asked=before.asked + 1, result="", message="")


def _make_client(
    kept: SavedTransfer, keeping: SavedTransfers, service: ServiceClient, wait_s: float
) -> TransferClient:
    return TransferClient(
        kept,
        keeping,
        service,
        clock=SystemClock(),
        draw=random.random,
        print_status=print_status,
        wait_ms=wait_s * 1000,
    )


def _print(ending: TransferClientResult, *, as_json: bool) -> int:
    """What came of it, on standard output; the exit code."""
    code, text = exit_code_and_message(ending)
    typer.echo(_body(ending, code) if as_json else text)
    return code


def exit_code_and_message(ending: TransferClientResult) -> tuple[int, str]:
    """The exit code and the line for people."""
    body = ending.saved.body
    what = f"{body.amount_usdt} USDT from {body.source.value} to {body.target.value}"
    name = f"transfer {body.transfer_id}: {what}"
    match ending.meaning:
        case TransferFinished(result="OK"):
            return OK, f"OK {name}, moved"
        case TransferFinished(message=message):
            return FAIL, f"FAIL {name}, not moved: {message}"
        case TransferUnknown():
            return FAIL, (
                f"FAIL {name}, not moved: {ending.saved.url} never accepted it, and now it is too "
                "late; ask anew"
            )
        case RequestRejected(cause=cause, by_state=by_state):
            open_still = "" if ending.saved.result else f"; an earlier try is open, {_RESUME}"
            code = PENDING if open_still else FAIL if by_state else USAGE_ERROR
            word = "PENDING" if open_still else "FAIL"
            return code, f"{word} {name}, refused by {ending.saved.url}: {cause}{open_still}"
        case TransferPending(message=message):
            why = f" ({message})" if message else ""
            return PENDING, f"PENDING {name}, accepted and not over{why}; {_RESUME} asks again"
        case RetryNeeded(cause=cause):
            return PENDING, (
                f"PENDING {name}, nobody knows whether it was accepted: {cause}; {_RESUME} asks "
                "again with the same id, never use another"
            )
        case _:
            assert_never(ending.meaning)


def _body(ending: TransferClientResult, code: int) -> str:
    """The last answer, where it is JSON; else one of the same shape."""
    try:
        msgspec.json.decode(ending.body)
        return ending.body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        result = {OK: "OK", PENDING: "PENDING"}.get(code, "FAIL")
        transfer_id = ending.saved.transfer_id
        message = getattr(ending.meaning, "cause", "")
        return msgspec.json.encode(
            {"transfer_id": transfer_id, "result": result, "message": message}
        ).decode()
