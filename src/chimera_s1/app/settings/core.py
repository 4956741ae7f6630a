"""The settings that every capability is built on: exchange, Redis, store, HTTP and process."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import PrivateAttr, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chimera_s1.adapters.binance.egress import parse_proxy
from chimera_s1.adapters.system.secret_file import SecretFile
from chimera_s1.app.settings.fields import number_setting, text_setting
from chimera_s1.app.settings.types import (
    PORT_MAX,
    ArchiveUrl,
    BinanceEnvironment,
    Coordinators,
    HostName,
    HostNames,
    LogFormat,
    LogLevel,
    Nodes,
    RequestLimits,
    RestUrl,
    ServiceUrl,
    ShardSetting,
    SocketServiceUrl,
    SocketUrl,
    Venues,
    WholeNumber,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.rate_limit import RateLimit

PREFIX = "S1_"


class CoreSettings(BaseSettings):
    """Attribute `http_port` is the variable `S1_HTTP_PORT`; a capability adds a subclass."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
    )
    _secret_files: Mapping[str, SecretFile] = PrivateAttr(default_factory=dict)

    binance_env: BinanceEnvironment = text_setting(
        "Binance", "live", "live, testnet or simulator", "testnet"
    )
    venues: Venues = text_setting("Binance", "spot,perp", "spot, perp or both", "spot,perp")
    binance_spot_rest_url: RestUrl = text_setting(
        "Binance", None, "base URL of the spot REST API", "https://api.binance.com"
    )
    binance_spot_ws_url: SocketUrl = text_setting(
        "Binance", None, "base URL of the spot streams", "wss://stream.binance.com:9443"
    )
    binance_spot_ws_api_url: SocketServiceUrl = text_setting(
        "Binance",
        None,
        "URL of the spot WebSocket API, for the private stream; of a simulator, the default is "
        "/ws-api/v3 at S1_BINANCE_SPOT_WS_URL",
        "wss://ws-api.binance.com:443/ws-api/v3",
    )
    binance_perp_rest_url: RestUrl = text_setting(
        "Binance", None, "base URL of the USD-M futures REST API", "https://fapi.binance.com"
    )
    binance_perp_ws_url: SocketUrl = text_setting(
        "Binance", None, "base URL of the USD-M futures streams", "wss://fstream.binance.com"
    )
    binance_archive_url: ArchiveUrl = text_setting(
        "Binance",
        "https://data.binance.vision",
        "base URL of the public archive, for chimera-s1 funding verify",
        "https://data.binance.vision",
    )
    binance_key: SecretStr | None = text_setting(
        "Binance",
        None,
        "API key that may transfer between wallets; without one nothing moves",
        "...",
    )
    binance_secret: SecretStr | None = text_setting(
        "Binance", None, "its secret; needs S1_BINANCE_KEY", "..."
    )
    egress_proxy: SecretStr | None = text_setting(
        "Binance",
        None,
        "http://[user:password@]host:port: proxy of all connections to the exchange; HTTPS_PROXY "
        "and its like are ignored",
        "http://user:password@10.0.0.9:3128",
    )
    egress_allow: HostNames = text_setting(
        "Binance",
        "",
        "host names, comma separated: connections to any other are refused; empty allows all",
        "api.binance.com,stream.binance.com,ws-api.binance.com,fapi.binance.com,fstream.binance.com",
    )
    request_limits: RequestLimits = text_setting(
        "Binance",
        "",
        "NAME=NUMBER, comma separated: limits of requests in place of what the exchange says",
        "futures.funding=250,spot.weight=3000",
    )
    shard: ShardSetting = text_setting(
        "Market data", "0/1", "index/count, the index from 0: this instance's share", "0/4"
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
    redis_tls_ca_file: Path | None = text_setting(
        "Redis",
        None,
        "CA certificates (PEM) of the nodes, else the system's; needs S1_REDIS_TLS=true",
        "/etc/chimera/redis-ca.pem",
    )
    redis_tls_cert_file: Path | None = text_setting(
        "Redis",
        None,
        "client certificate (PEM, with its chain); needs S1_REDIS_TLS=true",
        "/etc/chimera/s1.pem",
    )
    redis_tls_key_file: Path | None = text_setting(
        "Redis",
        None,
        "its key (PEM, not encrypted); needs S1_REDIS_TLS_CERT_FILE",
        "/etc/chimera/s1.key",
    )
    redis_tls_check_hostname: bool = text_setting(
        "Redis",
        "true",
        "true or false: whether a node's certificate must be for its name or address",
        "true",
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
    redis_embedded_memory_mb: WholeNumber = number_setting(
        "Redis",
        512,
        (32, 1_000_000),
        "MiB that the embedded one may use; at the bound it refuses writes, and /health says so",
    )
    ops_maxlen: WholeNumber = number_setting(
        "Redis", 100_000, (1, 10_000_000), "entries an operational stream keeps, about"
    )
    s10_url: ServiceUrl = text_setting(
        "S10",
        None,
        "base URL of S10: GET /active below it has the thresholds; without one there are none",
        "http://10.0.0.10:8000",
    )
    s10_poll_ms: WholeNumber = number_setting(
        "S10", 10_000, (100, 600_000), "ms between requests to S10 without an announcement"
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
        "requests a second of one actor that move money; bursts of twice as many",
    )
    state_dir: Path = text_setting("Process", ".chimera", "directory for local files", ".chimera")
    log_format: LogFormat = text_setting("Process", "auto", "auto, json or human", "json")
    log_level: LogLevel = text_setting("Process", "info", "debug, info, warning or error", "info")
    clock_patrol_ms: WholeNumber = number_setting(
        "Process", 30_000, (100, 3_600_000), "ms between time requests to the exchange"
    )
    health_grace_max_ms: WholeNumber = number_setting(
        "Process",
        60_000,
        (0, 3_600_000),
        "ms, no level of /health waits longer for what may end by itself; 0 shows each at once",
    )
    db_arango_uri: Coordinators = text_setting(
        "Store",
        "",
        "base URLs of ArangoDB coordinators, comma separated; empty keeps everything in SQLite",
        "https://10.0.0.7:8529,https://10.0.0.8:8529",
    )
    db_arango_user: str = text_setting("Store", "chimera", "user of the database", "chimera")
    db_arango_pass: SecretStr | None = text_setting("Store", None, "password", "...")
    db_arango_database: str = text_setting("Store", "chimera", "name of the database", "chimera")
    db_sqlite_path: Path | None = text_setting(
        "Store",
        None,
        "SQLite file in a local directory; else s1.sqlite3 in S1_STATE_DIR",
        "/var/lib/chimera/s1.sqlite3",
    )
    dead_letters_max: WholeNumber = number_setting(
        "Store",
        1_000,
        (1, 100_000),
        "dead letters that Redis keeps, and the store; a full one drops its oldest",
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

    @field_validator(
        "binance_spot_rest_url",
        "binance_spot_ws_url",
        "binance_spot_ws_api_url",
        "binance_perp_rest_url",
        "binance_perp_ws_url",
    )
    @classmethod
    def _fits_the_environment(cls, url: str | None, info: ValidationInfo) -> str | None:
        """Refuse a missing URL of the simulator, and one of a real venue without TLS.

        Loopback is no exception: what listens there would get the key, too.
        """
        environment = info.data.get("binance_env")
        real = environment in {BinanceEnvironment.LIVE, BinanceEnvironment.TESTNET}
        if real and url is not None and url.startswith(("http://", "ws://")):
            raise InvalidValueError(
                f"S1_BINANCE_ENV={environment} needs https:// and wss://, on loopback, too; "
                "S1_BINANCE_ENV=simulator takes plain URLs"
            )
        venue = Venue(str(info.field_name).split("_")[1])
        simulated = environment is BinanceEnvironment.SIMULATOR
        derived = info.field_name == "binance_spot_ws_api_url"
        if url is None and simulated and not derived and venue in info.data.get("venues", ()):
            raise InvalidValueError("S1_BINANCE_ENV=simulator needs it")
        return url

    @field_validator("binance_archive_url")
    @classmethod
    def _archive_is_authentic(cls, url: str, info: ValidationInfo) -> str:
        """A witness that anybody on the way can change proves nothing."""
        simulated = info.data.get("binance_env") is BinanceEnvironment.SIMULATOR
        if not simulated and url.startswith("http://"):
            raise InvalidValueError(
                "the archive of a real venue needs https://; S1_BINANCE_ENV=simulator takes http://"
            )
        return url

    @field_validator("binance_secret")
    @classmethod
    def _secret_with_key(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (secret is None) != (info.data.get("binance_key") is None):
            raise InvalidValueError("S1_BINANCE_KEY and S1_BINANCE_SECRET go together")
        return secret

    @field_validator("db_arango_uri")
    @classmethod
    def _shards_share_a_ledger(cls, uri: Coordinators, info: ValidationInfo) -> Coordinators:
        """Two ledgers of one account do not know each other's transfers."""
        shard, testnet = info.data.get("shard"), BinanceEnvironment.TESTNET
        has_key = info.data.get("binance_key") is not None
        if uri or not has_key or info.data.get("binance_env") is testnet:
            return uri
        if shard is not None and shard.count > 1:
            raise InvalidValueError(
                f"S1_SHARD={shard} with an exchange key needs a ledger that all instances share: "
                "name an ArangoDB here, run one instance (S1_SHARD=0/1), or remove S1_BINANCE_KEY"
            )
        return uri

    @field_validator("egress_proxy")
    @classmethod
    def _proxy_is_a_url(cls, proxy: SecretStr | None) -> SecretStr | None:
        return None if proxy is None else SecretStr(parse_proxy(proxy.get_secret_value()))

    @field_validator("redis_tls")
    @classmethod
    def _tls_needs_addresses(cls, tls: bool, info: ValidationInfo) -> bool:
        if tls and info.data.get("redis_addresses") == ():
            raise InvalidValueError("the embedded Redis has no TLS: name the nodes that have")
        return tls

    @field_validator("redis_tls_ca_file", "redis_tls_cert_file", "redis_tls_key_file")
    @classmethod
    def _files_need_tls(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("redis_tls") is False:
            raise InvalidValueError("without S1_REDIS_TLS=true it would not be used")
        return file

    @field_validator("redis_tls_key_file")
    @classmethod
    def _key_with_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        known = "redis_tls_cert_file" in info.data
        if known and (key is None) != (info.data["redis_tls_cert_file"] is None):
            raise InvalidValueError("S1_REDIS_TLS_CERT_FILE and S1_REDIS_TLS_KEY_FILE go together")
        return key

    def secret(self, field: str) -> Callable[[], str]:
        """Reads the secret of that attribute, again from its file if that has changed; empty
        without one.
        """
        if file := self._secret_files.get(field):
            return file.read
        secret = getattr(self, field)
        return lambda: "" if secret is None else secret.get_secret_value()

    @property
    def secret_files(self) -> Mapping[str, SecretFile]:
        """The secrets that are read from files, by attribute."""
        return self._secret_files

    def keep_secret_files(self, files: Mapping[str, SecretFile]) -> None:
        """Called once, by `read_settings`."""
        self._secret_files = files

    @property
    def rate_limit(self) -> RateLimit:
        """`S1_RATE_LIMIT_PER_S` with its burst."""
        return RateLimit(self.rate_limit_per_s, burst=2 * self.rate_limit_per_s)

    @property
    def real_venue(self) -> bool:
        """Whether a real venue is used, Binance or its test network."""
        return self.binance_env is not BinanceEnvironment.SIMULATOR

    @property
    def symbols_from_s10(self) -> bool:
        """Whether S10's instruments are the symbols to serve; market data decides."""
        return False

    @property
    def runs_shared_jobs(self) -> bool:
        """Whether this instance may run the jobs that one instance runs for all. On SQLite each
        shard has a store of its own; the first one runs them.
        """
        return bool(self.db_arango_uri) or self.shard.index == 0

    @property
    def moves_money(self) -> bool:
        """Whether an exchange key is configured."""
        return self.binance_key is not None
