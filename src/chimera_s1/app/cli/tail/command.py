"""`chimera-s1 tail`: the newest quotes, read from their streams."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import EVERY_SYMBOL, parse_symbol_filter


def tail(  # noqa: PLR0917  # typer passes options by name
    instruments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VENUE/]SYMBOL...",
            help="spot/BTCUSDT, or BTCUSDT for both venues. Default: all.",
        ),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...",
            help="Cluster nodes. Default: S1_REDIS_ADDRESSES, else the demo's or service's in the "
            "state directory.",
        ),
    ] = None,
    state_dir: StateDirOption = None,
    columns: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Which to show. Where the terminal has no room for all, the last are left out.",
        ),
    ] = "bid,ask,mid,spread,top1,age,state,source",
    once: Annotated[bool, typer.Option("--once", help="Print one table and exit.")] = False,
    count: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Exit after N lines (not in a terminal); 0 for no limit."
        ),
    ] = 0,
) -> None:
    """Show the newest quote of each instrument, read from the Redis Streams every second.

    A live table in a terminal, where n and p turn the pages; elsewhere one line
    for each new quote and each change of its state. Age is this machine's clock
    minus the quote's ts; state is what mkt:status:* says now, as in the client.

        chimera-s1 tail BTCUSDT perp/ETHUSDT
    """
    from chimera_s1.app.cli.tail.run import TailOptions, tail_streams  # noqa: PLC0415 (help is quick)
    from chimera_s1.app.cli.tail.table import parse_columns  # noqa: PLC0415 (as above)

    options = TailOptions(
        symbol_filter=parse_symbol_filter(",".join(instruments or [EVERY_SYMBOL]), tuple(Venue)),
        columns=parse_columns(columns),
        redis=redis,
        state_dir=state_dir,
        once=once,
        count=count,
    )
    anyio.run(tail_streams, options)
