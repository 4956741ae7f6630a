"""`chimera-s1 record`: write raw market data to a file."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import settings_with
from chimera_s1.domain.errors import ConfigurationError


def record(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines, one message a line; compressed if the name ends in .gz or .zst.",
            dir_okay=False,
        ),
    ],
    *,
    venue: Annotated[
        str | None, typer.Option(help="spot, perp or spot,perp. Default: S1_VENUES.")
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option(help="BTCUSDT,perp/ETHUSDT or * for all. Default: S1_SYMBOLS."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0, metavar="SECONDS", help="Stop after this time.")
    ] = None,
    messages: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after N messages.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace FILE if it exists.")
    ] = False,
) -> None:
    """Record market data of Binance to a file, until Ctrl-C or a limit.

    Each message is kept exactly as received, with its receive time. The file
    can be replayed (chimera-s1 replay) and played by the simulator
    (chimera-s1 simulate --play).

        chimera-s1 record btc.jsonl.zst --symbols BTCUSDT --for 60
    """
    from chimera_s1.app.cli.record.run import (  # noqa: PLC0415 (help is quick)
        RecordingPlan,
        record_market_data,
    )

    settings = settings_with(S1_VENUES=venue, S1_SYMBOLS=symbols)
    if file.exists() and not overwrite:
        raise ConfigurationError(f"{file} exists; name another file, or add --overwrite")
    plan = RecordingPlan(file, seconds=seconds, messages=messages)
    anyio.run(record_market_data, settings, plan, backend_options={"use_uvloop": True})
