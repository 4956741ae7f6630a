"""The command line: its commands, and their exit codes.

A package `cli/<command>` has the options and the help in `command.py`, which imports the rest late,
so that `--help` and `--version` stay quick.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed while running |
| 2 | wrong settings, arguments or file; of `funding gaps` also: not known |
| 3 | `transfer` only: not finished, or unknown |
| 130 | ended by Ctrl-C |
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from chimera_s1 import __version__
from chimera_s1.adapters.telemetry.log_formats import configure_command_logging
from chimera_s1.app.cli.config.command import config
from chimera_s1.app.cli.dead_letters.command import dead_letters
from chimera_s1.app.cli.demo.command import demo
from chimera_s1.app.cli.doctor.command import doctor
from chimera_s1.app.cli.drill.command import drill
from chimera_s1.app.cli.entries.command import entries
from chimera_s1.app.cli.funding.command import funding
from chimera_s1.app.cli.instruments.command import instruments
from chimera_s1.app.cli.jobs.command import jobs
from chimera_s1.app.cli.ledger.command import ledger
from chimera_s1.app.cli.mode.command import mode
from chimera_s1.app.cli.reconcile.command import reconcile
from chimera_s1.app.cli.record.command import record
from chimera_s1.app.cli.replay.command import replay
from chimera_s1.app.cli.serve.command import serve
from chimera_s1.app.cli.shared.output import print_line, print_status
from chimera_s1.app.cli.simulate.command import simulate
from chimera_s1.app.cli.tail.command import tail
from chimera_s1.app.cli.tokens.command import tokens
from chimera_s1.app.cli.transfer.command import transfer
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    InvalidValueError,
    RecordingDamagedError,
)

FAILED = 1
USAGE_ERROR = 2
_USAGE_ERRORS = (ConfigurationError, InvalidValueError, RecordingDamagedError)

app = typer.Typer(
    name="chimera-s1",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed while running, 2 wrong settings, arguments or file, "
    "3 a transfer is not finished, 130 ended by Ctrl-C.",
)
_RUN, _DATA, _MONEY, _INSPECT = "Run", "Market data", "Treasury and orders", "Inspect"
app.command(rich_help_panel=_RUN)(serve)
app.command(rich_help_panel=_RUN)(demo)
app.command(rich_help_panel=_RUN)(simulate)
app.add_typer(tokens, name="tokens", rich_help_panel=_RUN)
app.command(rich_help_panel=_DATA)(tail)
app.command(rich_help_panel=_DATA)(record)
app.command(rich_help_panel=_DATA)(replay)
app.add_typer(instruments, name="instruments", rich_help_panel=_DATA)
app.add_typer(funding, name="funding", rich_help_panel=_DATA)
app.command(rich_help_panel=_MONEY)(transfer)
app.add_typer(entries, name="entries", rich_help_panel=_MONEY)
app.command(rich_help_panel=_MONEY)(reconcile)
app.add_typer(ledger, name="ledger", rich_help_panel=_MONEY)
app.add_typer(mode, name="mode", rich_help_panel=_MONEY)
app.command(rich_help_panel=_INSPECT)(config)
app.command(rich_help_panel=_INSPECT)(doctor)
app.command(rich_help_panel=_INSPECT)(drill)
app.add_typer(jobs, name="jobs", rich_help_panel=_INSPECT)
app.add_typer(dead_letters, name="dead-letters", rich_help_panel=_INSPECT)


def _print_version(requested: bool) -> None:
    if requested:
        print_line(f"chimera-s1 {__version__}")
        raise typer.Exit


@app.callback()
def chimera_s1(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Publish Binance spot and USD-M futures quotes on Redis Streams of a Redis Cluster.

    Start with `chimera-s1 demo`: the whole service on this machine, without
    account or network.
    """


def run_command(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. For help, wrong arguments and Ctrl-C, Typer exits itself."""
    configure_command_logging()
    try:
        app(list(arguments), prog_name="chimera-s1")
    except ChimeraError as error:
        print_status(f"error: {error}")
        return USAGE_ERROR if isinstance(error, _USAGE_ERRORS) else FAILED
    return 0
