"""`chimera-s1 demo`: run the whole service on this machine."""

from typing import Annotated

import typer

from chimera_s1.app.cli.shared.options import StateDirOption

_SIMULATOR, _SERVICE = "Simulator", "Service"


def demo(  # noqa: PLR0917  # typer passes options by name
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
    whole_market: Annotated[
        bool,
        typer.Option(
            "--whole-market",
            help="List as many and as mixed symbols as Binance: 930 futures, 3000 spot.",
            rich_help_panel=_SIMULATOR,
        ),
    ] = False,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="PORT",
            help="Port of the HTTP API; 0 picks a free one. Default: 8080, or a free one.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    state_dir: StateDirOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line with the addresses when ready.")
    ] = False,
) -> None:
    """Run the whole service on this machine: Binance simulator, Redis Cluster, connector.

    It needs no account and no network. Once everything runs, demo.env in the
    state directory has the addresses; Ctrl-C stops everything. S1_* settings
    apply to the service.

        chimera-s1 demo --symbols 300 --rate 10000
    """
    from chimera_s1.app.cli.demo.run import run_demo_command  # noqa: PLC0415 (help is quick)

    options = ["--rate", f"{rate:g}", "--symbols", symbols, "--positions", _positions(symbols)]
    if whole_market:
        options.append("--whole-market")
    run_demo_command(options, http_port=http_port, state_dir=state_dir, as_json=as_json)


def _positions(symbols: str) -> str:
    """Three that every simulator can hold: in the first symbol, and in two that it always has."""
    first = "BTCUSDT" if symbols.isdigit() else symbols.split(",", maxsplit=1)[0].strip()
    return f"{first}=0.5,XAUUSDT=3,BTCUSDC=-0.2:BNB"
