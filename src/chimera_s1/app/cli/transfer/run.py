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
from chimera_s1.app.cli.shared.output import note
from chimera_s1.app.cli.transfer.client import Ending, TransferAsking
from chimera_s1.app.cli.transfer.replies import Again, Final, NotOver, NotThere, Refused
from chimera_s1.app.cli.transfer.saved_transfers import KeptTransfer, KeptTransfers, TransferBody
from chimera_s1.app.cli.transfer.service_client import ServiceAccess, find_service
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.money import exact_text, usdt
from chimera_s1.domain.treasury.limits import Wallet, direction_between

OK, FAIL, MISTAKE, PENDING = 0, 1, 2, 3
"""Exit codes."""

_RESUME = "chimera-s1 transfer --resume"


class AskingPlan(Struct, frozen=True):
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


def read_wish(
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
        amount_usdt=exact_text(usdt(amount)),
        reason=reason,
    )


async def make_transfer(
    settings: Settings, environ: Mapping[str, str], body: TransferBody, plan: AskingPlan
) -> int:
    """Keep *body*, ask for it, print what came of it; the exit code.

    Raises:
        ConfigurationError: There is no service to ask, it refuses the request, or *body* cannot be
            kept.
    """
    service = find_service(plan.url, environ, settings)
    keeping = KeptTransfers(settings.state_dir)
    kept = _kept(keeping.find(body.transfer_id), body, service.url)
    keeping.keep(kept)
    note(f"transfer {kept.transfer_id} is kept in {keeping.path(kept.transfer_id)}; asking")
    asking = _asking(kept, keeping, service, plan.wait_s)
    return _print(await asking.ask(), as_json=plan.as_json)


async def resume_transfers(
    settings: Settings, environ: Mapping[str, str], transfer_id: str | None, plan: AskingPlan
) -> int:
    """Go on with *transfer_id*, or with all that have no final answer; PENDING where one still has
    none, else FAIL where one has failed.

    Raises:
        ConfigurationError: There is no service to ask, it refuses a request, or a file cannot be
            read.
    """
    keeping = KeptTransfers(settings.state_dir)
    every = _chosen(keeping, transfer_id)
    if not every:
        note(f"nothing to resume in {settings.state_dir}")
    codes = {OK}
    for kept in every:
        service = find_service(plan.url or kept.url, environ, settings)
        note(f"transfer {kept.transfer_id}: asking {service.url} again, which is safe")
        asking = _asking(replace(kept, url=service.url), keeping, service, plan.wait_s)
        codes.add(_print(await asking.resume(), as_json=plan.as_json))
    return max(codes)


def _chosen(keeping: KeptTransfers, transfer_id: str | None) -> tuple[KeptTransfer, ...]:
    if transfer_id is None:
        return keeping.open_ones()
    kept = keeping.find(parse_transfer_id(transfer_id))
    if kept is None:
        raise ConfigurationError(
            f"{transfer_id} was not asked for from here; chimera-s1 ledger show tells of any"
        )
    return (kept,)


def _kept(before: KeptTransfer | None, body: TransferBody, url: str) -> KeptTransfer:
    now = SystemClock().now_ms()
    if before is None:
        return KeptTransfer(url=url, body=body, kept_at=now)
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


def _asking(
    kept: KeptTransfer, keeping: KeptTransfers, service: ServiceAccess, wait_s: float
) -> TransferAsking:
    return TransferAsking(
        kept,
        keeping,
        service,
        clock=SystemClock(),
        draw=random.random,
        say=note,
        wait_ms=wait_s * 1000,
    )


def _print(ending: Ending, *, as_json: bool) -> int:
    """What came of it, on standard output; the exit code."""
    code, text = told(ending)
    typer.echo(_body(ending, code) if as_json else text)
    return code


def told(ending: Ending) -> tuple[int, str]:
    """The exit code and the line for people."""
    body = ending.kept.body
    what = f"{body.amount_usdt} USDT from {body.source.value} to {body.target.value}"
    name = f"transfer {body.transfer_id}: {what}"
    match ending.verdict:
        case Final(result="OK"):
            return OK, f"OK {name}, moved"
        case Final(message=message):
            return FAIL, f"FAIL {name}, not moved: {message}"
        case NotThere():
            return FAIL, (
                f"FAIL {name}, not moved: {ending.kept.url} never accepted it, and now it is too "
                "late; ask anew"
            )
        case Refused(cause=cause, by_state=by_state):
            open_still = "" if ending.kept.result else f"; an earlier try is open, {_RESUME}"
            code = PENDING if open_still else FAIL if by_state else MISTAKE
            word = "PENDING" if open_still else "FAIL"
            return code, f"{word} {name}, refused by {ending.kept.url}: {cause}{open_still}"
        case NotOver(message=message):
            why = f" ({message})" if message else ""
            return PENDING, f"PENDING {name}, accepted and not over{why}; {_RESUME} asks again"
        case Again(cause=cause):
            return PENDING, (
                f"PENDING {name}, nobody knows whether it was accepted: {cause}; {_RESUME} asks "
                "again with the same id, never use another"
            )
        case _:
            assert_never(ending.verdict)


def _body(ending: Ending, code: int) -> str:
    """The last answer, where it is JSON; else one of the same shape."""
    try:
        msgspec.json.decode(ending.body)
        return ending.body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        result = {OK: "OK", PENDING: "PENDING"}.get(code, "FAIL")
        told_id = ending.kept.transfer_id
        message = getattr(ending.verdict, "cause", "")
        return msgspec.json.encode(
            {"transfer_id": told_id, "result": result, "message": message}
        ).decode()
