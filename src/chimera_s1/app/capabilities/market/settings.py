"""The settings of market data and its connections."""

from hashlib import blake2b
from typing import assert_never

from msgspec import structs
from pydantic import ValidationInfo, field_validator

from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.settings.fields import number_setting, text_setting
from chimera_s1.app.settings.types import (
    Channels,
    ConflationWindow,
    Contracts,
    KillSwitchEffect,
    RedisWriter,
    WholeNumber,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import (
    SYMBOLS_OF_S10,
    SymbolFilter,
    SymbolsOfS10,
    parse_symbol_filter,
)
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.reconnect import ReconnectPolicy


class MarketSettings(CoreSettings):
    """What is published, how often, and over which connections."""

    symbols: SymbolFilter | SymbolsOfS10 = text_setting(
        "Market data",
        "BTCUSDT,ETHUSDT",
        "symbols or venue/SYMBOL, comma separated, * for all that trade in USDT, or s10 for those "
        "that S10 names",
        "BTCUSDT,perp/ETHUSDT",
    )
    contracts: Contracts = text_setting(
        "Market data",
        "perpetual",
        "perpetual, tradfi and dated: the futures contracts that S1_SYMBOLS=* selects",
        "perpetual,tradfi",
    )
    channels: Channels = text_setting(
        "Market data", "bookTicker", "bookTicker, depth5 or both", "bookTicker,depth5"
    )
    conflation_ms: ConflationWindow = text_setting(
        "Market data", "1000", "0 (every update) or 50 to 1000 ms: window of one event each", "250"
    )
    read_interval_ms: WholeNumber = number_setting(
        "Market data", 10, (0, 100), "ms between reads of a socket, 0 reads at once"
    )
    kill_switch_mode: KillSwitchEffect = text_setting(
        "Market data",
        "stop",
        "stop or slow: what the key kill_switch does to publication while it is on",
        "slow",
    )
    kill_switch_slow_ms: WholeNumber = number_setting(
        "Market data",
        10_000,
        (1_000, 3_600_000),
        "ms between writes while the kill switch slows publication",
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
    redis_writer: RedisWriter = text_setting(
        "Redis", "node", "node or official: the client that writes market events", "official"
    )
    stream_maxlen: WholeNumber = number_setting(
        "Redis", 10_000, (1, 10_000_000), "entries a market stream keeps, about"
    )
    redis_embedded_maxlen: WholeNumber = number_setting(
        "Redis",
        1_000,
        (1, 10_000_000),
        "the same of the embedded one, where S1_STREAM_MAXLEN is more; 1,000 entries use 150 kB",
    )

    @field_validator("symbols", mode="before")
    @classmethod
    def _parse_symbols(cls, given: object, info: ValidationInfo) -> object:
        if not isinstance(given, str):
            return given
        if given.strip().lower() == SYMBOLS_OF_S10:
            if info.data.get("s10_url", "") is None:
                raise InvalidValueError("S1_S10_URL names no S10")
            return SymbolsOfS10()
        venues: tuple[Venue, ...] = info.data.get("venues", tuple(Venue))
        choice = parse_symbol_filter(given, venues)
        foreign = sorted(str(name) for name in choice.named if name.venue not in venues)
        if foreign:
            raise InvalidValueError(f"{', '.join(foreign)}: not on a venue that S1_VENUES serves")
        return choice

    @field_validator("reconnect_max_wait_ms")
    @classmethod
    def _not_below_base(cls, longest: int, info: ValidationInfo) -> int:
        if longest < info.data.get("reconnect_base_ms", longest):
            raise InvalidValueError("below S1_RECONNECT_BASE_MS")
        return longest

    @property
    def symbol_filter(self) -> SymbolFilter | None:
        """`S1_SYMBOLS` with `S1_CONTRACTS`; None where S10 names the symbols."""
        match self.symbols:
            case SymbolFilter():
                return structs.replace(self.symbols, contracts=frozenset(self.contracts))
            case SymbolsOfS10():
                return None
            case _:
                assert_never(self.symbols)

    @property
    def symbols_from_s10(self) -> bool:
        """See `CoreSettings`."""
        return isinstance(self.symbols, SymbolsOfS10)

    @property
    def kill_switch_interval_ms(self) -> int | None:
        """How often quotes are written while the kill switch is on; None: never."""
        match self.kill_switch_mode:
            case KillSwitchEffect.STOP:
                return None
            case KillSwitchEffect.SLOW:
                return self.kill_switch_slow_ms
            case _:
                assert_never(self.kill_switch_mode)

    @property
    def publisher_lease_name(self) -> str:
        """Instances with the same name have the same share of the instruments: one publishes."""
        parts = (
            self.binance_env.value,
            "+".join(sorted(venue.value for venue in self.venues)),
            _symbols_name(self.symbols),
            "+".join(sorted(contract.value for contract in self.contracts)),
            "+".join(sorted(channel.value for channel in self.channels)),
            str(self.shard),
        )
        return ":".join(parts)

    @property
    def market_maxlen(self) -> int:
        """Entries a market stream keeps, about: fewer in the embedded Redis, whose memory is that
        of this machine.
        """
        if self.redis_addresses:
            return self.stream_maxlen
        return min(self.stream_maxlen, self.redis_embedded_maxlen)

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


def _symbols_name(symbols: SymbolFilter | SymbolsOfS10) -> str:
    """`*`, `s10`, or the number of the named instruments and a hash of them."""
    if isinstance(symbols, SymbolsOfS10):
        return SYMBOLS_OF_S10
    if symbols.every:
        return "*"
    names = ",".join(sorted(map(str, symbols.named)))
    return f"{len(symbols.named)}-{blake2b(names.encode(), digest_size=4).hexdigest()}"
