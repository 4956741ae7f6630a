"""`chimera-s1 simulate`: the Binance simulator as a process of its own."""

import re
import signal
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from chimera_s1.adapters.simulator.config import (
    DEFAULT_RATE,
    DEFAULT_SYMBOLS,
    DEFAULT_USDT,
    DEMO_KEY,
    LOOPBACK,
    AccountConfig,
    ApiKey,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.faults.scenario import Scenario, parse_scenario
from chimera_s1.adapters.system.system_clock import SystemClock
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

_USDT_MAX = 10**15
_KEY_FORM = re.compile(r"[A-Za-z0-9]{1,128}")

SymbolsOption = Annotated[
    str,
    typer.Option(
        help="How many USDT symbols each venue trades (300), or their names (BTCUSDT,ETHUSDT)."
    ),
]

RateOption = Annotated[
    float,
    typer.Option(
        min=0.1,
        help="Book updates per second over all subscribed symbols: 1 is calm, 10000 a storm, "
        "1000000 what the machine gives.",
    ),
]

PlayOption = Annotated[
    Path | None,
    typer.Option(
        help="Market data file to send in place of made-up prices (.jsonl, .gz, .zst), at the "
        "pace of its own times.",
        exists=True,
        dir_okay=False,
    ),
]

UsdtOption = Annotated[
    str, typer.Option(metavar="AMOUNT", help="USDT in this wallet at the start.")
]

KeyOption = Annotated[
    str, typer.Option(envvar="SIM_API_KEY", metavar="KEY", help="The API key that is known.")
]

SecretOption = Annotated[
    str, typer.Option(envvar="SIM_API_SECRET", metavar="SECRET", help="What signs for it.")
]

BooksOption = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="Append every movement of money to this file, on disk before it is answered.",
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


def simulate(  # noqa: PLR0917  # typer passes options by name
    host: Annotated[
        str, typer.Option(help="Address to listen on. The control plane is always on loopback.")
    ] = LOOPBACK,
    spot_rest_port: PortOption = 0,
    spot_ws_port: PortOption = 0,
    perp_rest_port: PortOption = 0,
    perp_ws_port: PortOption = 0,
    control_port: PortOption = 0,
    symbols: SymbolsOption = str(DEFAULT_SYMBOLS),
    seed: Annotated[int, typer.Option(help="Same seed, same prices.")] = 1,
    rate: RateOption = DEFAULT_RATE,
    play: PlayOption = None,
    play_at_rate: Annotated[
        bool, typer.Option("--play-at-rate", help="Pace the file by --rate instead.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Start the file again at its end.")] = False,
    scenario: ScenarioOption = None,
    spot_usdt: UsdtOption = str(DEFAULT_USDT),
    futures_usdt: UsdtOption = str(DEFAULT_USDT),
    api_key: KeyOption = DEMO_KEY.key,
    api_secret: SecretOption = DEMO_KEY.secret,
    books: BooksOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line with the addresses when ready.")
    ] = False,
) -> None:
    """Run the Binance simulator until Ctrl-C.

    Spot and USD-M futures as Binance has them, with two wallets: no account, no network.
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
        account=AccountConfig(
            api_key=read_key(api_key, api_secret),
            spot_usdt=read_usdt("--spot-usdt", spot_usdt),
            futures_usdt=read_usdt("--futures-usdt", futures_usdt),
            journal=books,
        ),
    )
    anyio.run(_serve, config, json, backend_options={"use_uvloop": True})


def read_symbols(text: str) -> int | tuple[str, ...]:
    """Read `--symbols`: a number from 1, or names quoted in USDT.

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
    """Read `--scenario`.

    Raises:
        ConfigurationError: The file cannot be read, or is no scenario.
    """
    try:
        return parse_scenario(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--scenario: {path}: {error.strerror}") from error
    except InvalidValueError as error:
        raise ConfigurationError(f"--scenario: {path}: {error}") from error


def read_usdt(option: str, text: str) -> Decimal:
    """Read an amount of USDT.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        amount = Decimal(text)
        if amount.is_finite() and 0 <= amount <= _USDT_MAX and amount == round(amount, 8):
            return amount
    except InvalidOperation:
        pass
    raise ConfigurationError(
        f"{option}: {text!r} is no amount of USDT; write one from 0 to {_USDT_MAX} with at most 8 "
        "decimals, like 10000"
    )


def read_key(key: str, secret: str) -> ApiKey:
    """Read `--api-key` and `--api-secret`.

    Raises:
        ConfigurationError: Binance would not take the key for one, or the secret is empty.
    """
    if _KEY_FORM.fullmatch(key) is None:
        raise ConfigurationError(f"--api-key: {key!r} is no API key; write letters and digits")
    if not secret:
        raise ConfigurationError("--api-secret is empty; write the one that goes with --api-key")
    return ApiKey(key, secret)


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
                _announce(addresses, config.account.api_key, as_json=as_json)
                await anext(aiter(signals))
                tasks.cancel_scope.cancel()
    if refused is not None:
        raise refused


def _announce(addresses: SimulatorAddresses, known: ApiKey, *, as_json: bool) -> None:
    # A secret that somebody chose is theirs to remember; the one that everybody knows is shown.
    secret = known.secret if known == DEMO_KEY else "***"
    if as_json:
        ready = msgspec.structs.asdict(addresses)
        line = msgspec.json.encode({**ready, "api_key": known.key, "api_secret": secret})
        sys.stdout.write(line.decode() + "\n")
    else:
        for field, label in _LABELS.items():
            sys.stdout.write(f"{label:<16} {getattr(addresses, field)}\n")
        sys.stdout.write(f"{'API key':<16} {known.key}\n{'API secret':<16} {secret}\n")
    sys.stdout.flush()
