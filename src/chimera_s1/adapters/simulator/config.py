"""The configuration of a simulator, and the addresses it listens on."""

from decimal import Decimal
from pathlib import Path

from msgspec import Struct, field

from chimera_s1.adapters.simulator.faults.scenario import Scenario
from chimera_s1.adapters.simulator.limits.rules import Bucket

LOOPBACK = "127.0.0.1"
DEFAULT_SYMBOLS = 20
DEFAULT_RATE = 200.0
DEFAULT_USDT = Decimal(10_000)


class ApiKey(Struct, frozen=True):
    """An API key and its secret, which `repr` leaves out."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey({self.key!r})"


DEMO_KEY = ApiKey(
    "ChimeraSimulatorDemoKey00000000000000000000000000000000000000001",
    "ChimeraSimulatorDemoSecretItOpensNothingButTheSimulator000000001",
)
"""In Binance's format. It is public and protects nothing."""


class HeldPosition(Struct, frozen=True):
    """A position that pays and receives funding, without begin and end.

    Attributes:
        symbol: Of a USD-M contract.
        amount: Of the base asset; negative if short.
        asset: What funding is paid in; empty means the quote asset.
    """

    symbol: str
    amount: Decimal
    asset: str = ""


class AccountConfig(Struct, frozen=True, kw_only=True):
    """The one account of the exchange.

    Attributes:
        journal: File that gets every movement of money, synced to disk before the reply.
    """

    api_key: ApiKey = DEMO_KEY
    spot_usdt: Decimal = DEFAULT_USDT
    fut_usdt: Decimal = DEFAULT_USDT
    journal: Path | None = None
    positions: tuple[HeldPosition, ...] = ()


class S10Config(Struct, frozen=True, kw_only=True):
    """A stand-in for S10.

    Attributes:
        port: 0 means any free port.
        redis: Cluster to announce revisions in, `host:port,host:port`; empty announces none until
            `POST /sim/s10/redis`.
    """

    port: int = 0
    redis: str = ""


class SimulatorConfig(Struct, frozen=True, kw_only=True):
    """Options of one simulator.

    Attributes:
        host: Address of the exchange's five ports; the control plane is always on loopback.
        spot_rest_port, spot_ws_port, perp_rest_port, perp_ws_port, archive_port, control_port: 0
            means any free port.
        symbols: How many TRADING symbols quoted in USDT each venue has, or their names.
        whole_market: List as many and as mixed symbols as Binance, besides *symbols*.
        seed: The same seed gives the same prices.
        rate: Book updates per second over all subscribed symbols of both venues.
        play: Market data file to send in place of generated prices, at the pace of its own times.
        play_at_rate: Pace the file by *rate* instead.
        loop: Start the file again at its end.
        scenario: Faults on a timeline that starts with the first subscription.
        limits: In place of Binance's own; a transfer uses 300 of `sapi.uid`.
        s10: None runs no S10.
    """

    host: str = LOOPBACK
    spot_rest_port: int = 0
    spot_ws_port: int = 0
    perp_rest_port: int = 0
    perp_ws_port: int = 0
    archive_port: int = 0
    control_port: int = 0
    symbols: int | tuple[str, ...] = DEFAULT_SYMBOLS
    whole_market: bool = False
    seed: int = 1
    rate: float = DEFAULT_RATE
    play: Path | None = None
    play_at_rate: bool = False
    loop: bool = False
    scenario: Scenario | None = None
    account: AccountConfig = AccountConfig()
    limits: dict[Bucket, int] = field(default_factory=dict)
    s10: S10Config | None = None


class SimulatorAddresses(Struct, frozen=True, kw_only=True):
    """Base URLs, without a path and without a trailing slash; *s10_url* is empty without S10."""

    spot_rest_url: str
    spot_ws_url: str
    perp_rest_url: str
    perp_ws_url: str
    archive_url: str
    control_url: str
    s10_url: str = ""
