"""What a simulator is told at its start, and where it can then be reached."""

from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from chimera_s1.adapters.simulator.faults.scenario import Scenario
from chimera_s1.adapters.simulator.rest.exchange_info import PERP_WEIGHT_LIMIT

LOOPBACK = "127.0.0.1"
DEFAULT_SYMBOLS = 20
DEFAULT_RATE = 200.0
DEFAULT_USDT = Decimal(10_000)


class ApiKey(Struct, frozen=True):
    """One API key and the secret that signs for it; printed without the secret."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey({self.key!r})"


DEMO_KEY = ApiKey(
    "ChimeraSimulatorDemoKey00000000000000000000000000000000000000001",
    "ChimeraSimulatorDemoSecretItOpensNothingButTheSimulator000000001",
)
"""In the form of Binance's. It is written down everywhere and protects nothing."""


class AccountConfig(Struct, frozen=True, kw_only=True):
    """The one account of the exchange.

    Attributes:
        journal: File to which every movement of money is appended, on disk before it is answered.
    """

    api_key: ApiKey = DEMO_KEY
    spot_usdt: Decimal = DEFAULT_USDT
    futures_usdt: Decimal = DEFAULT_USDT
    journal: Path | None = None


class SimulatorConfig(Struct, frozen=True, kw_only=True):
    """A port of 0 means any free one.

    Attributes:
        host: Address of the four exchange ports. The control plane is on loopback whatever this is.
        symbols: How many TRADING symbols quoted in USDT each venue has, or their names.
        seed: Same seed, same prices.
        rate: Book updates per second over all subscribed symbols of both venues.
        play: Market data file that replaces the price paths; `rate` then paces it when
            `play_at_rate`, else the file's own times do.
        loop: Start the file again at its end.
        scenario: Faults that come with time, from the first subscription on.
        account: Who may sign, and what is in the wallets.
        sapi_ip_weight: What one address may ask for under `/sapi` in a minute.
        sapi_uid_weight: What the account may; a transfer takes 900 of it.
        perp_ip_weight: What one address may ask of the futures in a minute; a read of the income
            takes 30 of it.
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
    account: AccountConfig = AccountConfig()
    sapi_ip_weight: int = 12_000
    sapi_uid_weight: int = 180_000
    perp_ip_weight: int = PERP_WEIGHT_LIMIT


class SimulatorAddresses(Struct, frozen=True, kw_only=True):
    """Base URLs, without a path and without a trailing slash."""

    spot_rest_url: str
    spot_ws_url: str
    perp_rest_url: str
    perp_ws_url: str
    control_url: str
