"""`chimera-s1 tail`: the newest quotes, read from their streams."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.settings.settings import load_settings
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import EVERY_SYMBOL, parse_symbol_filter


def tail(
    instruments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VENUE/]SYMBOL...", help="spot/BTCUSDT, BTCUSDT (both venues). Default: all."
        ),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...",
            help="Cluster nodes. Default: S1_REDIS_ADDRESSES, else what runs in the state "
            "directory.",
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of the demo. Default: S1_STATE_DIR, else .chimera."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    count: Annotated[
        int, typer.Option(min=0, help="End after so many lines (not in a terminal); 0 goes on.")
    ] = 0,
) -> None:
    """Watch the newest quote of each instrument, read from the Redis Streams once a second.

    A live table in a terminal; elsewhere one line for each quote that is new. Age is our clock
    less the quote's ts.

        chimera-s1 tail BTCUSDT perp/ETHUSDT
    """
    from chimera_s1.app.cli.tail.run import TailOptions, tail_streams  # noqa: PLC0415 (help is quick)

    settings = load_settings(os.environ)
    options = TailOptions(
        choice=parse_symbol_filter(",".join(instruments or [EVERY_SYMBOL]), tuple(Venue)),
        redis=redis,
        state_dir=state_dir or settings.state_dir,
        once=once,
        count=count,
    )
    anyio.run(tail_streams, settings, options)
