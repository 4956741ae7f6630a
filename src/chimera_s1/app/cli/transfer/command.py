"""`chimera-s1 transfer`: move money once, whatever the network does."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.settings.settings import load_settings
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.treasury.limits import Wallet

_WAIT_S = 30.0


def transfer(
    *,
    source: Annotated[
        Wallet | None,
        typer.Option("--from", case_sensitive=False, help="The wallet that gets less."),
    ] = None,
    target: Annotated[
        Wallet | None,
        typer.Option("--to", case_sensitive=False, help="The wallet that gets more."),
    ] = None,
    amount: Annotated[str | None, typer.Option(metavar="USDT", help="As a decimal, 12.5.")] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="For the record.")] = "",
    transfer_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its key. Default: a new UUID.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Ask again for those that have no final answer yet.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, metavar="S", help="Ask for the end so long, s.")
    ] = _WAIT_S,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Of the service. Default: S1_URL, else the demo's."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the last answer's body instead of a line.")
    ] = False,
    state_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: S1_STATE_DIR, else .chimera.")
    ] = None,
) -> None:
    """Ask a running service to move USDT between the wallets, and say what came of it.

    The id is made first and kept in the state directory with all that is asked for, before anything
    is sent. After whatever is not an answer the same is asked again with the same id, which cannot
    move money twice. Needs S1_TOKEN (and S1_URL), or a demo that runs here.

    Exit code 0: OK, moved. 1: FAIL, not moved. 3: PENDING, not over or not known; --resume goes on.

        chimera-s1 transfer --from SPOT --to FUTURES --amount 12.5 --reason margin
    """
    from chimera_s1.app.cli.transfer.run import (  # noqa: PLC0415 (help is quick)
        TransferOptions,
        make_transfer,
        read_transfer_arguments,
        resume_transfers,
    )

    named = {} if state_dir is None else {"S1_STATE_DIR": str(state_dir)}
    settings = load_settings({**os.environ, **named})
    plan = TransferOptions(url, wait, as_json)
    if not resume:
        request = read_transfer_arguments(source, target, amount, reason, transfer_id)
        code = anyio.run(make_transfer, settings, os.environ, request, plan)
    elif source or target or amount or reason:
        raise ConfigurationError(
            "--resume asks for what is kept; leave --from, --to, --amount and --reason out"
        )
    else:
        code = anyio.run(resume_transfers, settings, os.environ, transfer_id, plan)
    if code:
        raise typer.Exit(code)
