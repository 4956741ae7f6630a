"""
`chimera-s1 simulate`: the Binance simulator as a process of its own.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from chimera_s1.adapters.simulator.config import (
    DEFAULT_RATE,
    DEFAULT_SYMBOLS,
    LOOPBACK,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.scenario import Scenario, parse_scenario
from chimera_s1.adapters.system.clock import SystemClock
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError

_LABELS = {
    "spot_rest_url": "spot REST",
    "spot_ws_url": "spot streams",
    "perp_rest_url": "futures REST",
    "perp_ws_url": "futures streams",
    "control_url": "control plane",
}

PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="TCP port; 0 takes any free one.", metavar="PORT")
]

ScenarioOption = Annotated[
    Path | None,
    typer.Option(
        help="Faults on a timeline (TOML), from the first subscription on.",
        exists=True,
        dir_okay=False,
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
    control_port: PortOption = 0,
    symbols: Annotated[
        str,
        typer.Option(
            help="How many USDT symbols each venue trades (300), or their names (BTCUSDT,ETHUSDT)."
        ),
    ] = str(DEFAULT_SYMBOLS),
    seed: Annotated[int, typer.Option(help="Same seed, same prices.")] = 1,
    rate: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Book updates per second over all subscribed symbols: 1 is calm, 10000 a storm, "
            "1000000 what the machine gives.",
        ),
    ] = DEFAULT_RATE,
    play: Annotated[
        Path | None,
        typer.Option(
            help="Market data file to send in place of made-up prices (.jsonl, .gz, .zst), at the "
            "pace of its own times.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    play_at_rate: Annotated[
        bool, typer.Option("--play-at-rate", help="Pace the file by --rate instead.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Start the file again at its end.")] = False,
    scenario: ScenarioOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line with the addresses when ready.")
    ] = False,
) -> None:
    """
    Run the Binance simulator until Ctrl-C.

    Spot and USD-M futures market data as Binance sends it: no account, no network.
    The control plane makes it fail on request:

        curl $SIM_URL/sim/faults -d '{"on":"ws:spot","do":"disconnect"}'
    """
    config = SimulatorConfig(
        host=host,
        spot_rest_port=spot_rest_port,
        spot_ws_port=spot_ws_port,
        perp_rest_port=perp_rest_port,
        perp_ws_port=perp_ws_port,
        control_port=control_port,
        symbols=read_symbols(symbols),
        seed=seed,
        rate=rate,
        play=play,
        play_at_rate=play_at_rate,
        loop=loop,
        scenario=None if scenario is None else read_scenario(scenario),
    )
    anyio.run(_serve, config, json, backend_options={"use_uvloop": True})


def read_symbols(text: str) -> int | tuple[str, ...]:
    """
    Read `--symbols`: a number from 1, or names quoted in USDT.

    Raises:
        ConfigurationError: It is neither.
    """
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    names = tuple(name.strip().upper() for name in text.split(","))
    wrong = [name for name in names if not name.endswith("USDT") or name == "USDT"]
    if wrong:
        raise ConfigurationError(
            f"--symbols: {wrong[0]!r} is not a symbol quoted in USDT; write a number from 1, or "
            "names separated by commas, like BTCUSDT,ETHUSDT"
        )
    return names


def read_scenario(path: Path) -> Scenario:
    """
    Read `--scenario`.

    Raises:
        ConfigurationError: The file cannot be read, or is no scenario.
    """
    try:
        return parse_scenario(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--scenario: {path}: {error.strerror}") from error
    except InvalidValueError as error:
        raise ConfigurationError(f"--scenario: {path}: {error}") from error


async def _serve(config: SimulatorConfig, as_json: bool) -> None:
    from chimera_s1.adapters.simulator.simulator import Simulator  # noqa: PLC0415 (12 MiB that no other command owes)

    simulator = Simulator(config, SystemClock())
    refused: ConfigurationError | None = None
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            try:
                addresses = await tasks.start(simulator.run)
            except ConfigurationError as error:
                refused = error
            else:
                _announce(addresses, as_json=as_json)
                await anext(aiter(signals))
                tasks.cancel_scope.cancel()
    if refused is not None:
        raise refused


def _announce(addresses: SimulatorAddresses, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
    else:
        for field, label in _LABELS.items():
            sys.stdout.write(f"{label:<16} {getattr(addresses, field)}\n")
    sys.stdout.flush()
