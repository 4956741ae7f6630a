"""`chimera-s1 record`: market data, as it comes, to a file."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.settings.settings import load_settings
from chimera_s1.domain.errors import ConfigurationError


def record(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines, one message a line; compressed where the name ends in .gz or .zst.",
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
        float | None, typer.Option("--for", min=0, metavar="SECONDS", help="Stop after so long.")
    ] = None,
    messages: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many messages.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace FILE where it exists.")
    ] = False,
) -> None:
    """Record market data of Binance to a file, until Ctrl-C or a limit.

    Each message is kept exactly as the exchange sent it, with its receive time. The file can be
    replayed (chimera-s1 replay) and played by the simulator (chimera-s1 simulate --play).

        chimera-s1 record btc.jsonl.zst --symbols BTCUSDT --for 60
    """
    from chimera_s1.app.cli.record.run import RecordingPlan, record_market_data  # noqa: PLC0415 (help is quick)

    given = {"S1_VENUES": venue, "S1_SYMBOLS": symbols}
    chosen = {name: text for name, text in given.items() if text is not None}
    settings = load_settings({**os.environ, **chosen})
    if file.exists() and not overwrite:
        raise ConfigurationError(f"{file} exists; name another file, or add --overwrite")
    plan = RecordingPlan(file, seconds=seconds, messages=messages)
    anyio.run(record_market_data, settings, plan, backend_options={"use_uvloop": True})
