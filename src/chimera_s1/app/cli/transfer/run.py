"""Runs `transfer`: saves the transfer, requests it, prints the outcome."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import print_json_text, print_line, print_status
from chimera_s1.app.cli.shared.service_access import ServiceAccess, find_service
from chimera_s1.app.cli.transfer.saved_call import (
    SavedCallOutcome,
    SavedTransferCall,
    json_body,
)
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers, TransferBody
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.money import exact_text, parse_usdt
from chimera_s1.domain.treasury.limits import Wallet, direction_between
from chimera_s1_client import (
    ConflictError,
    HttpSession,
    KeyReusedError,
    NotFoundError,
    ProblemError,
    TransferFailed,
    TransferOk,
    TransferPending,
)
from chimera_s1_client.transfer import NOT_FOUND_CODE

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
    async with _calling(saved, files, service, options.wait_s) as call:
        return _print(await call.run(), as_json=options.as_json)


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
        saved_here = replace(saved, url=service.url)
        async with _calling(saved_here, files, service, options.wait_s) as call:
            codes.add(_print(await call.resume(SystemClock()), as_json=options.as_json))
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


@asynccontextmanager
async def _calling(
    saved: SavedTransfer, files: SavedTransfers, service: ServiceAccess, wait_s: float
) -> AsyncIterator[SavedTransferCall]:
    async with HttpSession(service.url, service.token) as session:
        yield SavedTransferCall(saved, files, session.send, on_wait=_print_wait, wait_s=wait_s)


def _print_wait(cause: str, wait_s: float) -> None:
    print_status(
        f"{cause}; retrying with the same id in {wait_s:.1f} s, which is safe: one id moves "
        "money once"
    )


def _print(ended: SavedCallOutcome, *, as_json: bool) -> int:
    code, text = exit_code_and_message(ended)
    result = {OK: "OK", PENDING: "PENDING"}.get(code, "FAIL")
    if as_json:
        print_json_text(json_body(ended, result))
    else:
        print_line(text)
    return code


def exit_code_and_message(ended: SavedCallOutcome) -> tuple[int, str]:
    """The exit code and the line for people."""
    body, url = ended.saved.body, ended.saved.url
    name = (
        f"transfer {body.transfer_id}: {body.amount_usdt} USDT "
        f"from {body.source.value} to {body.target.value}"
    )
    match ended.result:
        case TransferOk():
            return OK, f"OK {name}, moved"
        case TransferFailed(message=message):
            return FAIL, f"FAIL {name}, not moved: {message}"
        case TransferPending():
            return PENDING, _pending_message(name, url, ended.result)
        case NotFoundError() as error if error.problem.code == NOT_FOUND_CODE:
            return FAIL, (
                f"FAIL {name}, not moved: {url} never accepted it, and it is too old to be sent "
                "now; request a new transfer"
            )
        case ConflictError() | KeyReusedError() as error:
            return FAIL, f"FAIL {name}, refused by {url}: {error}"
        case ProblemError() as error:
            return USAGE_ERROR, f"FAIL {name}, refused by {url}: {error}"
        case _:
            assert_never(ended.result)


def _pending_message(name: str, url: str, pending: TransferPending) -> str:
    if pending.refused is not None:
        return (
            f"PENDING {name}, refused by {url}: {pending.message}; the outcome of an earlier "
            f"request is unknown, {_RESUME} retries"
        )
    if not pending.accepted:
        return (
            f"PENDING {name}, unknown whether accepted: {pending.message}; {_RESUME} retries with "
            "the same id, never use another"
        )
    why = f" ({pending.message})" if pending.message else ""
    return f"PENDING {name}, accepted, not finished{why}; {_RESUME} continues"
