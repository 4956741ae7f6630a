"""`chimera-s1 simulate`: run the Binance simulator."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.adapters.simulator.config import (
    DEFAULT_RATE,
    DEFAULT_SYMBOLS,
    DEFAULT_USDT,
    DEMO_KEY,
    LOOPBACK,
    AccountConfig,
    ApiKey,
    SimulatorConfig,
)
from chimera_s1.app.cli.simulate.arguments import (
    read_key,
    read_positions,
    read_s10,
    read_scenario,
    read_symbols,
    read_usdt,
)

PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="TCP port; 0 picks a free one.", metavar="PORT")
]

SymbolsOption = Annotated[
    str,
    typer.Option(
        help="How many USDT symbols each venue trades (300), or their names (BTCUSDT,ETHUSDT)."
    ),
]

WholeMarketOption = Annotated[
    bool,
    typer.Option(
        "--whole-market",
        help="List as many and as mixed symbols as Binance: 930 futures, 3000 spot.",
    ),
]

RateOption = Annotated[
    float,
    typer.Option(
        min=0.1,
        help="Book updates per second over all subscribed symbols: 1 is calm, 10000 a storm, "
        "1000000 as many as the machine can send.",
    ),
]

PlayOption = Annotated[
    Path | None,
    typer.Option(
        help="Market data file to send instead of generated prices (.jsonl, .gz, .zst), at the "
        "pace of its own times.",
        exists=True,
        dir_okay=False,
    ),
]

UsdtOption = Annotated[
    str, typer.Option(metavar="AMOUNT", help="USDT in this wallet at the start.")
]

KeyOption = Annotated[
    str, typer.Option(envvar="SIM_API_KEY", metavar="KEY", help="The accepted API key.")
]

SecretOption = Annotated[
    str, typer.Option(envvar="SIM_API_SECRET", metavar="SECRET", help="The secret of the API key.")
]

BooksOption = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="Append every money movement to this file, on disk before the reply.",
    ),
]

PositionsOption = Annotated[
    str,
    typer.Option(
        metavar="SYMBOL=AMOUNT,...",
        help="Positions that pay and receive funding: BTCUSDT=0.5,ETHUSDT=-2:BNB is long BTC, and "
        "short ETH with funding in BNB.",
    ),
]

ScenarioOption = Annotated[
    Path | None,
    typer.Option(
        help="Faults on a timeline (TOML), from the first subscription on.",
        exists=True,
        dir_okay=False,
    ),
]


S10Option = Annotated[
    bool, typer.Option("--s10", help="Also run a stand-in for S10, which serves GET /active.")
]

S10RedisOption = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="Redis Cluster in which the stand-in announces its revisions, comma separated.",
    ),
]


EnvFileOption = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="Write the settings of a service that uses this simulator, and SIM_URL, to this "
        "file when ready: KEY=VALUE lines for a shell or docker --env-file.",
    ),
]


def simulate(  # noqa: PLR0917  # typer passes options by name
    host: Annotated[
        str, typer.Option(help="Address to listen on. The control plane is always on loopback.")
    ] = LOOPBACK,
    spot_rest_port: PortOption = 0,
    spot_ws_port: PortOption = 0,
    perp_rest_port: PortOption = 0,
    perp_ws_port: PortOption = 0,
    archive_port: PortOption = 0,
    control_port: PortOption = 0,
    symbols: SymbolsOption = str(DEFAULT_SYMBOLS),
    whole_market: WholeMarketOption = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same prices.")] = 1,
    rate: RateOption = DEFAULT_RATE,
    play: PlayOption = None,
    play_at_rate: Annotated[
        bool, typer.Option("--play-at-rate", help="Send the file at --rate instead.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Repeat the file.")] = False,
    scenario: ScenarioOption = None,
    spot_usdt: UsdtOption = str(DEFAULT_USDT),
    fut_usdt: UsdtOption = str(DEFAULT_USDT),
    api_key: KeyOption = DEMO_KEY.key,
    api_secret: SecretOption = DEMO_KEY.secret,
    books: BooksOption = None,
    positions: PositionsOption = "",
    s10: S10Option = False,
    s10_port: PortOption = 0,
    s10_redis: S10RedisOption = "",
    env_file: EnvFileOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line with the addresses when ready.")
    ] = False,
) -> None:
    """Run the Binance simulator until Ctrl-C.

    Spot and USD-M futures with two wallets, without account or network.
    The control plane injects faults:

        curl $SIM_URL/sim/faults -d '{"on":"ws:spot","do":"disconnect"}'
    """
    from chimera_s1.app.cli.simulate.run import Announcement, run_simulator  # noqa: PLC0415 (help is quick)

    config = SimulatorConfig(
        host=host,
        spot_rest_port=spot_rest_port,
        spot_ws_port=spot_ws_port,
        perp_rest_port=perp_rest_port,
        perp_ws_port=perp_ws_port,
        archive_port=archive_port,
        control_port=control_port,
        symbols=read_symbols(symbols),
        whole_market=whole_market,
        seed=seed,
        rate=rate,
        play=play,
        play_at_rate=play_at_rate,
        loop=loop,
        scenario=None if scenario is None else read_scenario(scenario),
        account=_account(
            read_key(api_key, api_secret), spot_usdt, fut_usdt, books=books, positions=positions
        ),
        s10=read_s10(wanted=s10, port=s10_port, redis=s10_redis),
    )
    anyio.run(
        run_simulator, config, Announcement(json, env_file), backend_options={"use_uvloop": True}
    )


def _account(
    key: ApiKey, spot_usdt: str, fut_usdt: str, *, books: Path | None, positions: str
) -> AccountConfig:
    return AccountConfig(
        api_key=key,
        spot_usdt=read_usdt("--spot-usdt", spot_usdt),
        fut_usdt=read_usdt("--fut-usdt", fut_usdt),
        journal=books,
        positions=read_positions(positions),
    )
