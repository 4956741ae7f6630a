"""Runs `simulate`: the simulator until a signal, its addresses once it is ready."""

import signal
import sys

import anyio
import msgspec

from chimera_s1.adapters.simulator.config import (
    DEMO_KEY,
    ApiKey,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ConfigurationError

_LABELS = {
    "spot_rest_url": "spot REST",
    "spot_ws_url": "spot streams",
    "perp_rest_url": "futures REST",
    "perp_ws_url": "futures streams",
    "control_url": "control plane",
}


async def run_simulator(config: SimulatorConfig, as_json: bool) -> None:
    """Run the simulator until SIGINT or SIGTERM; its addresses are printed once it is ready.

    Raises:
        ConfigurationError: A port is in use, or a file cannot be read.
    """
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


def _announce(addresses: SimulatorAddresses, api_key: ApiKey, *, as_json: bool) -> None:
    # Only the public demo secret is shown.
    secret = api_key.secret if api_key == DEMO_KEY else "***"
    if as_json:
        ready = msgspec.structs.asdict(addresses)
        line = msgspec.json.encode({**ready, "api_key": api_key.key, "api_secret": secret})
        sys.stdout.write(line.decode() + "\n")
    else:
        for field, label in _LABELS.items():
            sys.stdout.write(f"{label:<16} {getattr(addresses, field)}\n")
        sys.stdout.write(f"{'API key':<16} {api_key.key}\n{'API secret':<16} {secret}\n")
    sys.stdout.flush()
