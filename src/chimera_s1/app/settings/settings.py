"""Settings: what the environment variables `S1_*` say, checked as a whole before anything starts.

`Settings` is frozen and knows nothing of the process's environment; `load_settings` reads the
mapping it is given and reports every problem at once.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chimera_s1.app.capabilities.treasury.settings import TreasurySettings
from chimera_s1.app.settings.fields import number_setting, text_setting
from chimera_s1.app.settings.messages import invalid_value_message, unknown_setting_message
from chimera_s1.app.settings.types import (
    PORT_MAX,
    BinanceEnvironment,
    Channels,
    ConflationWindow,
    HostName,
    LogFormat,
    LogLevel,
    Nodes,
    RedisWriter,
    RestUrl,
    ShardSetting,
    SocketUrl,
    Venues,
    WholeNumber,
)
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import SymbolFilter, parse_symbol_filter
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.rate_limit import RateLimit
from chimera_s1.domain.operations.reconnect import ReconnectPolicy

PREFIX = "S1_"
CLIENT_NAMES = frozenset({"S1_URL", "S1_TOKEN"})
"""Names that `demo.env` gives to clients of the service; a shell may export them, S1
ignores them.
"""


def variable(field: str) -> str:
    """The environment variable of an attribute of `Settings`: `S1_HTTP_PORT` for `http_port`."""
    return PREFIX + field.upper()


class Settings(TreasurySettings):
    """Everything the service can be told; attribute `http_port` is the variable `S1_HTTP_PORT`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
    )

    binance_env: BinanceEnvironment = text_setting(
        "Binance", "live", "live, testnet or simulator", "testnet"
    )
    venues: Venues = text_setting("Binance", "spot,perp", "spot, perp or both", "spot,perp")
    binance_spot_rest_url: RestUrl = text_setting(
        "Binance", None, "base URL of the spot REST API", "http://127.0.0.1:9101"
    )
    binance_spot_ws_url: SocketUrl = text_setting(
        "Binance", None, "base URL of the spot streams", "ws://127.0.0.1:9102"
    )
    binance_perp_rest_url: RestUrl = text_setting(
        "Binance", None, "base URL of the USD-M futures REST API", "http://127.0.0.1:9103"
    )
    binance_perp_ws_url: SocketUrl = text_setting(
        "Binance", None, "base URL of the USD-M futures streams", "ws://127.0.0.1:9104"
    )
    symbols: SymbolFilter = text_setting(
        "Market data",
        "BTCUSDT,ETHUSDT",
        "symbols or venue/SYMBOL, comma separated, or * for all that trade in USDT",
        "BTCUSDT,perp/ETHUSDT",
    )
    channels: Channels = text_setting(
        "Market data", "bookTicker", "bookTicker, depth5 or both", "bookTicker,depth5"
    )
    shard: ShardSetting = text_setting(
        "Market data", "0/1", "index/count, the index from 0: this instance's share", "0/4"
    )
    conflation_ms: ConflationWindow = text_setting(
        "Market data", "1000", "0 (every update) or 50 to 1000 ms: window of one event each", "250"
    )
    read_interval_ms: WholeNumber = number_setting(
        "Market data", 10, (0, 100), "ms between reads of a socket, 0 reads at once"
    )
    streams_per_connection: WholeNumber = number_setting(
        "Connections", 200, (1, 1024), "streams; Binance allows 1024"
    )
    reconnect_base_ms: WholeNumber = number_setting(
        "Connections", 500, (1, 60_000), "ms, first wait"
    )
    reconnect_max_wait_ms: WholeNumber = number_setting(
        "Connections", 30_000, (1, 3_600_000), "ms, longest wait, at least S1_RECONNECT_BASE_MS"
    )
    reconnect_jitter_ms: WholeNumber = number_setting(
        "Connections", 500, (0, 60_000), "ms, at most this much is added at random"
    )
    reconnect_n_max: WholeNumber = number_setting(
        "Connections", 10, (0, 1000), "retries before FATAL"
    )
    reconnect_scan_ms: WholeNumber = number_setting(
        "Connections", 10_000, (100, 600_000), "ms between dials once FATAL"
    )
    renew_after_ms: WholeNumber = number_setting(
        "Connections",
        82_800_000,
        (1_000, 86_340_000),
        "ms, age at which a socket is replaced by a successor; Binance cuts at 24 h",
    )
    redis_addresses: Nodes = text_setting(
        "Redis",
        "",
        "host:port of some cluster nodes, comma separated; empty starts an embedded one",
        "10.0.0.5:6379,10.0.0.6:6379",
    )
    redis_user: str | None = text_setting("Redis", None, "ACL user", "s1")
    redis_pass: SecretStr | None = text_setting("Redis", None, "password", "...")
    redis_tls: bool = text_setting(
        "Redis", "false", "true or false; needs S1_REDIS_ADDRESSES", "true"
    )
    redis_writer: RedisWriter = text_setting(
        "Redis", "node", "node or official: the client that writes market events", "official"
    )
    redis_server: Path | None = text_setting(
        "Redis",
        None,
        "path of the redis-server to embed; else the one on PATH",
        "/usr/bin/redis-server",
    )
    redis_embedded_port: WholeNumber = number_setting(
        "Redis", 0, (0, PORT_MAX), "port of the embedded one, 0 picks a free one"
    )
    stream_maxlen: WholeNumber = number_setting(
        "Redis", 10_000, (1, 10_000_000), "entries a market stream keeps, about"
    )
    ops_maxlen: WholeNumber = number_setting(
        "Redis", 100_000, (1, 10_000_000), "entries an operational stream keeps, about"
    )
    http_host: HostName = text_setting(
        "HTTP", "127.0.0.1", "address or host name to listen on", "127.0.0.1"
    )
    http_port: WholeNumber = number_setting("HTTP", 8080, (0, PORT_MAX), "port, 0 picks a free one")
    api_tokens_file: Path | None = text_setting(
        "HTTP",
        None,
        "file of tokens, see chimera-s1 tokens; without one only loopback is served, and only "
        "reading",
        "/etc/chimera/tokens.json",
    )
    rate_limit_per_s: WholeNumber = number_setting(
        "HTTP",
        20,
        (1, 10_000),
        "requests a second of one actor that touch money; twice as many at once",
    )
    state_dir: Path = text_setting(
        "Process", ".chimera", "directory for what is kept locally", ".chimera"
    )
    log_format: LogFormat = text_setting("Process", "auto", "auto, json or human", "json")
    log_level: LogLevel = text_setting("Process", "info", "debug, info, warning or error", "info")
    clock_patrol_ms: WholeNumber = number_setting(
        "Process", 30_000, (100, 3_600_000), "ms between questions for the exchange's time"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (pydantic calls it by these names)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller passes: `load_settings` names the environment."""
        return (init_settings,)

    @field_validator("symbols", mode="before")
    @classmethod
    def _parse_symbols(cls, given: object, info: ValidationInfo) -> object:
        if not isinstance(given, str):
            return given
        venues: tuple[Venue, ...] = info.data.get("venues", tuple(Venue))
        choice = parse_symbol_filter(given, venues)
        foreign = sorted(str(name) for name in choice.named if name.venue not in venues)
        if foreign:
            raise InvalidValueError(f"{', '.join(foreign)}: not on a venue that S1_VENUES serves")
        return choice

    @field_validator(
        "binance_spot_rest_url",
        "binance_spot_ws_url",
        "binance_perp_rest_url",
        "binance_perp_ws_url",
    )
    @classmethod
    def _simulator_needs_urls(cls, url: str | None, info: ValidationInfo) -> str | None:
        venue = Venue(str(info.field_name).split("_")[1])
        simulated = info.data.get("binance_env") is BinanceEnvironment.SIMULATOR
        if url is None and simulated and venue in info.data.get("venues", ()):
            raise InvalidValueError("S1_BINANCE_ENV=simulator needs it")
        return url

    @field_validator("reconnect_max_wait_ms")
    @classmethod
    def _not_below_base(cls, longest: int, info: ValidationInfo) -> int:
        if longest < info.data.get("reconnect_base_ms", longest):
            raise InvalidValueError("below S1_RECONNECT_BASE_MS")
        return longest

    @field_validator("redis_tls")
    @classmethod
    def _tls_needs_addresses(cls, tls: bool, info: ValidationInfo) -> bool:
        if tls and info.data.get("redis_addresses") == ():
            raise InvalidValueError("the embedded Redis has no TLS: name the nodes that have")
        return tls

    @property
    def reconnect_policy(self) -> ReconnectPolicy:
        """The five `S1_RECONNECT_*` as the domain takes them."""
        return ReconnectPolicy(
            backoff=Backoff(
                base_ms=self.reconnect_base_ms,
                max_wait_ms=self.reconnect_max_wait_ms,
                jitter_ms=self.reconnect_jitter_ms,
            ),
            retries_max=self.reconnect_n_max,
            scan_ms=self.reconnect_scan_ms,
        )

    @property
    def rate_limit(self) -> RateLimit:
        """`S1_RATE_LIMIT_PER_S` with its burst."""
        return RateLimit(self.rate_limit_per_s, burst=2 * self.rate_limit_per_s)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the `S1_*` variables of *environ*; an empty one counts as not set.

    Raises:
        ConfigurationError: Values are wrong or names unknown; the text lists all of them.
    """
    given = given_variables(environ)
    known = {variable(field): field for field in Settings.model_fields}
    problems = [
        unknown_setting_message(name, known) for name in sorted(given.keys() - known.keys())
    ]
    values = {known[name]: text for name, text in given.items() if name in known}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_problem(detail, values) for detail in error.errors(include_input=False)]
    if problems:
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        raise ConfigurationError("\n  ".join([f"{count} wrong:", *problems]))
    return settings


def given_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of *environ* that mean S1 and say something."""
    return {
        name: text
        for name, text in environ.items()
        if name.startswith(PREFIX) and name not in CLIENT_NAMES and text.strip()
    }


def _problem(detail: ErrorDetails, values: Mapping[str, str]) -> str:
    field = str(detail["loc"][0])
    return invalid_value_message(
        variable(field), values.get(field), Settings.model_fields[field], detail
    )
