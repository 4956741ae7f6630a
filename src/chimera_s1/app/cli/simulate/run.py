"""Runs `simulate`: the simulator until a signal, its addresses once it is ready."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.simulator.config import (
    DEMO_KEY,
    ApiKey,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ConfigurationError

_LABELS = {
    "spot_rest_url": "spot REST",
    "spot_ws_url": "spot streams",
    "perp_rest_url": "futures REST",
    "perp_ws_url": "futures streams",
    "archive_url": "archive",
    "control_url": "control plane",
    "s10_url": "S10",
}


class Announcement(Struct, frozen=True):
    """How the addresses are told once the simulator is ready; *env_file* is not kept after it."""

    as_json: bool
    env_file: Path | None


async def run_simulator(config: SimulatorConfig, announcement: Announcement) -> None:
    """Run the simulator until SIGINT or SIGTERM; its addresses are announced once it is ready.

    Raises:
        ConfigurationError: A port is in use, or a file cannot be read.
    """
    simulator = Simulator(config, SystemClock())
    refused: ConfigurationError | None = None
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            try:
                addresses = await tasks.start(simulator.run)
                with _env_file(announcement.env_file, addresses, config.account.api_key):
                    _announce(addresses, config.account.api_key, as_json=announcement.as_json)
                    await anext(aiter(signals))
            except ConfigurationError as error:
                refused = error
            tasks.cancel_scope.cancel()
    if refused is not None:
        raise refused


@contextmanager
def _env_file(path: Path | None, addresses: SimulatorAddresses, api_key: ApiKey) -> Iterator[None]:
    """The file exists while the simulator runs; readable by its owner only, as it has the key."""
    if path is None:
        yield
        return
    lines = {
        "S1_BINANCE_ENV": "simulator",
        "S1_BINANCE_SPOT_REST_URL": addresses.spot_rest_url,
        "S1_BINANCE_SPOT_WS_URL": addresses.spot_ws_url,
        "S1_BINANCE_PERP_REST_URL": addresses.perp_rest_url,
        "S1_BINANCE_PERP_WS_URL": addresses.perp_ws_url,
        "S1_BINANCE_ARCHIVE_URL": addresses.archive_url,
        "S1_BINANCE_KEY": api_key.key,
        "S1_BINANCE_SECRET": api_key.secret,
        "SIM_URL": addresses.control_url,
        **({"S1_S10_URL": addresses.s10_url} if addresses.s10_url else {}),
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"--env-file {path} cannot be written: {error.strerror}; choose another path"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _announce(addresses: SimulatorAddresses, api_key: ApiKey, *, as_json: bool) -> None:
    # Only the public demo secret is shown.
    secret = api_key.secret if api_key == DEMO_KEY else "***"
    if as_json:
        ready = {name: url for name, url in msgspec.structs.asdict(addresses).items() if url}
        line = msgspec.json.encode({**ready, "api_key": api_key.key, "api_secret": secret})
        sys.stdout.write(line.decode() + "\n")
    else:
        for field, label in _LABELS.items():
            if url := getattr(addresses, field):
                sys.stdout.write(f"{label:<16} {url}\n")
        sys.stdout.write(f"{'API key':<16} {api_key.key}\n{'API secret':<16} {secret}\n")
    sys.stdout.flush()
