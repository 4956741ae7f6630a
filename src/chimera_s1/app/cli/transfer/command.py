"""`chimera-s1 transfer`: move money once, despite lost requests and replies."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption, settings_with
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.treasury.limits import Wallet


def _read_wallet(text: str) -> Wallet:
    try:
        return Wallet(text.upper())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(Wallet)}") from error


_WALLETS = "|".join(Wallet)


def transfer(
    *,
    source: Annotated[
        Wallet | None,
        typer.Option(
            "--from", parser=_read_wallet, metavar=_WALLETS, help="Wallet to take the money from."
        ),
    ] = None,
    target: Annotated[
        Wallet | None,
        typer.Option(
            "--to", parser=_read_wallet, metavar=_WALLETS, help="Wallet to move the money to."
        ),
    ] = None,
    amount: Annotated[
        str | None, typer.Option(metavar="USDT", help="Decimal number, like 12.5.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="For the record.")] = "",
    transfer_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Idempotency key. Default: a new UUID."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the transfers without a final result.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, metavar="S", help="Seconds to wait for the final result.")
    ] = 30.0,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The service. Default: S1_URL, else the demo's."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the body of the last reply instead of a line.")
    ] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Ask a running service to move USDT between the wallets, and print the outcome.

    The transfer and its id are saved in the state directory before the first
    request. Without a definite answer the same request is sent again with the
    same id, which cannot move money twice. Needs S1_TOKEN (and S1_URL), or a
    demo running on this machine.

    Exit codes: 0 OK, moved; 1 FAIL, not moved; 2 wrong arguments or settings;
    3 PENDING, not finished or unknown: --resume continues.

        chimera-s1 transfer --from SPOT --to FUT --amount 12.5 --reason margin
    """
    from chimera_s1.app.cli.transfer.run import (  # noqa: PLC0415 (help is quick)
        TransferOptions,
        make_transfer,
        read_transfer_arguments,
        resume_transfers,
    )

    settings = settings_with(state_dir)
    options = TransferOptions(url, wait, as_json)
    if not resume:
        body = read_transfer_arguments(source, target, amount, reason, transfer_id)
        code = anyio.run(make_transfer, settings, body, options)
    elif source or target or amount or reason:
        raise ConfigurationError(
            "--resume continues saved transfers; leave --from, --to, --amount and --reason out"
        )
    else:
        code = anyio.run(resume_transfers, settings, transfer_id, options)
    if code:
        raise typer.Exit(code)
