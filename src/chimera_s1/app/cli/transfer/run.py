"""Runs `transfer`: saves the transfer, requests it, prints the outcome."""

import os
import random
from typing import assert_never
from uuid import uuid4

import msgspec
import typer
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import print_status
from chimera_s1.app.cli.shared.service_access import ServiceAccess, find_service
from chimera_s1.app.cli.transfer.client import (
    RequestRejected,
    RetryNeeded,
    TransferClient,
    TransferClientResult,
    TransferFinished,
    TransferPending,
    TransferUnknown,
)
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers, TransferBody
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.money import exact_text, parse_usdt
from chimera_s1.domain.treasury.limits import Wallet, direction_between

OK, FAIL, USAGE_ERROR, PENDING = 0, 1, 2, 3
"""Exit codes."""

_RESUME = "chimera-s1 transfer --resume"


class TransferOptions(Struct, frozen=True):
    """How to send the requests.

    Attributes:
        url: None for S1_URL or the demo; with --resume for the service of each saved transfer.
        wait_s: For each transfer.
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
    """The transfer that the options describe, under a new id without --id.

    Raises:
        ConfigurationError: One of the three required options is missing.
        InvalidValueError: A value is not valid.
    """
    if source is None or target is None or amount is None:
        raise ConfigurationError(
            "--from, --to and --amount are required, like --from SPOT --to FUT --amount 12.5"
        )
    direction_between(source, target)
    return TransferBody(
        transfer_id=parse_transfer_id(str(uuid4()) if transfer_id is None else transfer_id),
        source=source,
        target=target,
        amount_usdt=exact_text(parse_usdt(amount)),
        reason=reason,
    )


async def make_transfer(settings: Settings, body: TransferBody, options: TransferOptions) -> int:
    """Save *body*, request it, print the outcome; the exit code.

    Raises:
        ConfigurationError: There is no service, or the transfer cannot be saved.
    """
    service = find_service(options.url, os.environ, settings)
    files = SavedTransfers(settings.state_dir)
    saved = _to_save(files.find(body.transfer_id), body, service.url)
    files.save(saved)
    print_status(f"transfer {saved.transfer_id} is saved in {files.path(saved.transfer_id)}")
    client = _make_client(saved, files, service, options.wait_s)
    return _print(await client.run(), as_json=options.as_json)


async def resume_transfers(
    settings: Settings, transfer_id: str | None, options: TransferOptions
) -> int:
    """Continue *transfer_id*, or all without a final result.

    Returns:
        The exit code: PENDING where one still has no result, else FAIL where one failed.

    Raises:
        ConfigurationError: There is no service, or a file cannot be read.
    """
    files = SavedTransfers(settings.state_dir)
    transfers = files.unfinished() if transfer_id is None else (_find(files, transfer_id),)
    if not transfers:
        print_status(f"nothing to resume in {settings.state_dir}")
    codes = {OK}
    for saved in transfers:
        service = find_service(options.url or saved.url, os.environ, settings)
        print_status(f"resuming transfer {saved.transfer_id} at {service.url}")
        client = _make_client(replace(saved, url=service.url), files, service, options.wait_s)
        codes.add(_print(await client.resume(), as_json=options.as_json))
    return max(codes)


def _find(files: SavedTransfers, transfer_id: str) -> SavedTransfer:
    saved = files.find(parse_transfer_id(transfer_id))
    if saved is None:
        raise ConfigurationError(
            f"{transfer_id} was not requested from this state directory; chimera-s1 ledger show "
            "finds any transfer"
        )
    return saved


def _to_save(before: SavedTransfer | None, body: TransferBody, url: str) -> SavedTransfer:
    now_ms = SystemClock().now_ms()
    if before is None:
        return SavedTransfer(url=url, body=body, saved_at=now_ms)
    if before.body != body:
        raise ConfigurationError(
            f"{body.transfer_id} was used here for another transfer; leave --id out for a new one"
        )
    if before.url != url:
        raise ConfigurationError(
            f"{body.transfer_id} was requested from {before.url}, not from {url}; leave --id out "
            "for a new transfer"
        )
    return replace(before, saved_at=now_ms, attempts=before.attempts + 1, result="", message="")


def _make_client(
    saved: SavedTransfer, files: SavedTransfers, service: ServiceAccess, wait_s: float
) -> TransferClient:
    return TransferClient(
        saved,
        files,
        service.send,
        clock=SystemClock(),
        draw=random.random,
        print_status=print_status,
        wait_ms=wait_s * 1000,
    )


def _print(ended: TransferClientResult, *, as_json: bool) -> int:
    code, text = exit_code_and_message(ended)
    typer.echo(_json_body(ended, code) if as_json else text)
    return code


def exit_code_and_message(ended: TransferClientResult) -> tuple[int, str]:
    """The exit code and the line for people."""
    body = ended.saved.body
    name = (
        f"transfer {body.transfer_id}: {body.amount_usdt} USDT "
        f"from {body.source.value} to {body.target.value}"
    )
    match ended.meaning:
        case TransferFinished(result=result, message=message):
            ok = OK, f"OK {name}, moved"
            return ok if result == "OK" else (FAIL, f"FAIL {name}, not moved: {message}")
        case TransferUnknown():
            return FAIL, (
                f"FAIL {name}, not moved: {ended.saved.url} never accepted it, and it is too old "
                "to be sent now; request a new transfer"
            )
        case RequestRejected(cause=cause) if not ended.saved.result:
            return PENDING, (
                f"PENDING {name}, refused by {ended.saved.url}: {cause}; the outcome of an "
                f"earlier request is unknown, {_RESUME} retries"
            )
        case RequestRejected(cause=cause, by_state=by_state):
            code = FAIL if by_state else USAGE_ERROR
            return code, f"FAIL {name}, refused by {ended.saved.url}: {cause}"
        case TransferPending(message=message):
            why = f" ({message})" if message else ""
            return PENDING, f"PENDING {name}, accepted, not finished{why}; {_RESUME} continues"
        case RetryNeeded(cause=cause):
            return PENDING, (
                f"PENDING {name}, unknown whether accepted: {cause}; {_RESUME} retries with the "
                "same id, never use another"
            )
        case _:
            assert_never(ended.meaning)


def _json_body(ended: TransferClientResult, code: int) -> str:
    """The last reply's body where it is JSON; else a body of the same shape."""
    try:
        msgspec.json.decode(ended.body)
        return ended.body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        result = {OK: "OK", PENDING: "PENDING"}.get(code, "FAIL")
        message = getattr(ended.meaning, "cause", "")
        shown = {"transfer_id": ended.saved.transfer_id, "result": result, "message": message}
        return msgspec.json.encode(shown).decode()
