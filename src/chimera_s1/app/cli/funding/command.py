"""`chimera-s1 funding`: show, complete and verify the funding history."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import (
    JsonArrayOption,
    StateDirOption,
    settings_with,
)
from chimera_s1.app.cli.shared.output import print_status
from chimera_s1.domain.errors import ChimeraError, InvalidValueError
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol, parse_symbol

funding = typer.Typer(
    no_args_is_help=True, help="Show, complete and verify the stored funding history."
)

_NOT_KNOWN = 2
_Symbol = Annotated[
    str | None, typer.Option("--symbol", metavar="SYMBOL", help="Only this contract.")
]
_Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service. Default: S1_URL, else the demo's."),
]


@funding.command()
def backfill(
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Days before now.")],
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Have the service read the funding history of the last N days, and wait.

    Newest days first; stored history stays. The service remembers the request,
    also after kill -9: run the command again to see how far it is. Needs
    S1_TOKEN with the scopes jobs:run and read (and S1_URL), or a demo running
    on this machine.

    Exit codes: 0 all is read; 1 the service does not answer or refuses; 2 wrong
    arguments or settings; 130 Ctrl-C, the service goes on.
    """
    from chimera_s1.app.cli.funding.backfill import backfill_and_wait  # noqa: PLC0415 (help is quick)

    settings = settings_with(state_dir)
    try:
        anyio.run(backfill_and_wait, settings, url, days)
    except KeyboardInterrupt:
        print_status("The service goes on with the backfill; run this again to see its progress.")
        raise


@funding.command()
def gaps(
    symbol: _Symbol = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Print what is missing of the funding history, and what is disputed.

    Needs S1_TOKEN with the scope read (and S1_URL), or a demo running on this
    machine.

    Exit codes: 0 no gaps; 1 some; 2 not known: nothing is verified yet, the
    service does not answer, or the arguments are wrong. Disputed records are
    printed; they are no gaps.
    """
    from chimera_s1.app.cli.funding.gaps import print_gaps  # noqa: PLC0415 (help is quick)

    try:
        code = anyio.run(print_gaps, settings_with(state_dir), url, _parsed(symbol), as_json)
    except ChimeraError as error:
        print_status(f"error: {error}")
        code = _NOT_KNOWN
    raise typer.Exit(code)


@funding.command()
def verify(
    archive: Annotated[
        str | None,
        typer.Option(
            "--archive",
            metavar="FILE|FOLDER|URL|binance",
            help="Compare with files of Binance's public archive: SYMBOL-fundingRate-YYYY-MM.zip. "
            "binance: the one at S1_BINANCE_ARCHIVE_URL.",
        ),
    ] = None,
    symbol: _Symbol = None,
    month: Annotated[
        str | None,
        typer.Option(
            "--month", metavar="YYYY-MM", help="Only this month. Of a URL by default the last one."
        ),
    ] = None,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Verify the stored funding history.

    Without --archive against the exchange's own history, as the service knows
    it: gaps and disputes. With --archive each settlement is compared with the
    public archive, a second witness: rate, interval, and whether it is there.
    A difference is printed; nothing is changed. Needs S1_TOKEN with the scope
    read (and S1_URL), or a demo running on this machine.

    Exit codes: 0 equal; 1 differences; 2 some or all could not be checked.
    """
    try:
        code = _verify(archive, symbol, month, url, state_dir)
    except ChimeraError as error:
        print_status(f"error: {error}")
        code = _NOT_KNOWN
    raise typer.Exit(code)


def _verify(
    archive: str | None,
    symbol: str | None,
    month: str | None,
    url: str | None,
    state_dir: Path | None,
) -> int:
    if archive is None:
        if month is not None:
            raise InvalidValueError("--month needs --archive, which is cut by months")
        from chimera_s1.app.cli.funding.gaps import print_verified  # noqa: PLC0415 (help is quick)

        return anyio.run(print_verified, settings_with(state_dir), url, _parsed(symbol))
    from chimera_s1.app.cli.funding.verify import (  # noqa: PLC0415 (help is quick)
        WantedFiles,
        verify_archive,
    )

    wanted = WantedFiles(
        _parsed(symbol),
        None if month is None else Month.parse(month),
    )
    return anyio.run(verify_archive, state_dir, url, archive, wanted)


def _parsed(symbol: str | None) -> Symbol | None:
    return None if symbol is None else parse_symbol(symbol)


@funding.command()
def show(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Like BTCUSDT.")],
    days: Annotated[int, typer.Option(min=1, max=365, metavar="N", help="Days before now.")] = 7,
    as_json: JsonArrayOption = False,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Show the settlements of a contract, and a chart of its rates.

    In a terminal with colour and chart, elsewhere as lines of cells. Needs
    S1_TOKEN with the scope read (and S1_URL), or a demo running on this machine.
    """
    from chimera_s1.app.cli.funding.show import print_records  # noqa: PLC0415 (help is quick)

    anyio.run(print_records, settings_with(state_dir), url, parse_symbol(symbol), days, as_json)
