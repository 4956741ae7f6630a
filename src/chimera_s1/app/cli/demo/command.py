"""`chimera-s1 demo`: the whole service on this machine."""

from pathlib import Path
from typing import Annotated

import typer

_SIMULATOR, _SERVICE = "Simulator", "Service"


def demo(
    rate: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Book updates per second over all symbols.",
            rich_help_panel=_SIMULATOR,
        ),
    ] = 200,
    symbols: Annotated[
        str,
        typer.Option(
            help="How many USDT symbols each venue trades, or their names (BTCUSDT,ETHUSDT).",
            rich_help_panel=_SIMULATOR,
        ),
    ] = "20",
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="PORT",
            help="Of the HTTP API; 0 takes any free one. Default: 8080, or a free one if taken.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="For demo.env and logs. Default: S1_STATE_DIR, else .chimera.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line with the addresses when ready.")
    ] = False,
) -> None:
    """Run the whole service on this machine: Binance simulator, Redis Cluster, connector.

    No account and no network is needed. Once everything is up, demo.env in the state directory
    names where to reach it; Ctrl-C ends everything. Other S1_* settings apply to the service.

        chimera-s1 demo --symbols 300 --rate 10000
    """
    from chimera_s1.app.cli.demo.run import run_demo_command  # noqa: PLC0415 (help is quick)

    options = ("--rate", f"{rate:g}", "--symbols", symbols)
    run_demo_command(options, http_port=http_port, state_dir=state_dir, as_json=as_json)
