"""
What a simulator is told at its start, and where it can then be reached.
"""

from pathlib import Path

from msgspec import Struct

from chimera_s1.adapters.simulator.scenario import Scenario

LOOPBACK = "127.0.0.1"
DEFAULT_SYMBOLS = 20
DEFAULT_RATE = 200.0


class SimulatorConfig(Struct, frozen=True, kw_only=True):
    """
    A port of 0 means any free one.

    Attributes:
        host: Address of the four exchange ports. The control plane is on loopback whatever this is.

        symbols: How many TRADING symbols quoted in USDT each venue has, or their names.

        seed: Same seed, same prices.

        rate: Book updates per second over all subscribed symbols of both venues.

        play: Market data file that replaces the price paths; `rate` then paces it when
            `play_at_rate`, else the file's own times do.

        loop: Start the file again at its end.

        scenario: Faults that come with time, from the first subscription on.
    """

    host: str = LOOPBACK
    spot_rest_port: int = 0
    spot_ws_port: int = 0
    perp_rest_port: int = 0
    perp_ws_port: int = 0
    control_port: int = 0
    symbols: int | tuple[str, ...] = DEFAULT_SYMBOLS
    seed: int = 1
    rate: float = DEFAULT_RATE
    play: Path | None = None
    play_at_rate: bool = False
    loop: bool = False
    scenario: Scenario | None = None


class SimulatorAddresses(Struct, frozen=True, kw_only=True):
    """
    Base URLs, without a path and without a trailing slash.
    """

    spot_rest_url: str
    spot_ws_url: str
    perp_rest_url: str
    perp_ws_url: str
    control_url: str
