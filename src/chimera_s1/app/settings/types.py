"""Types of settings: how the text of an environment variable becomes a value, or why it cannot.

Every parser takes the text as the user wrote it and raises `InvalidValueError` with a sentence
that makes sense without knowing the variable's name.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from chimera_s1.adapters.redis.addresses import RedisAddress, parse_addresses
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import Channel, Symbol, Venue, parse_symbol
from chimera_s1.domain.market.conflation import WindowMs, parse_window
from chimera_s1.domain.market.instrument_selection import ContractKind, Shard, parse_shard
from chimera_s1.domain.money import parse_usdt
from chimera_s1.domain.operations.limit_name import LimitName
from chimera_s1.domain.treasury.limits import Direction

PORT_MAX = 65_535
_Word = TypeVar("_Word", bound=StrEnum)


class BinanceEnvironment(StrEnum):
    """Which Binance: the real one, its test network, or a simulator whose URLs are given."""

    LIVE = "live"
    TESTNET = "testnet"
    SIMULATOR = "simulator"


class RedisWriter(StrEnum):
    """The client that writes market events: our pipeline to each node, or redis-py's."""

    NODE = "node"
    OFFICIAL = "official"


class KillSwitchEffect(StrEnum):
    """What the kill switch does to publication: none of it, or less often."""

    STOP = "stop"
    SLOW = "slow"


class LogFormat(StrEnum):
    """Format of log lines; `auto` is `human` in a terminal and `json` elsewhere."""

    AUTO = "auto"
    JSON = "json"
    HUMAN = "human"


class LogLevel(StrEnum):
    """The least important log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def parse_nodes(text: str) -> tuple[RedisAddress, ...]:
    """Read a comma separated list of Redis nodes; an empty text is an empty list.

    Raises:
        InvalidValueError: An entry is not host:port.
    """
    if not text.strip():
        return ()
    try:
        return parse_addresses(text)
    except ConfigurationError as error:
        raise InvalidValueError(str(error).removeprefix("S1_REDIS_ADDRESSES: ")) from error


def parse_base_url(text: str, schemes: tuple[str, ...]) -> str:
    """Read `https://api.binance.com`: scheme, host and port, nothing after them.

    Raises:
        InvalidValueError: Another scheme, no host, a bad port, credentials, a path or a query.
    """
    url = parse_service_url(text, schemes)
    if url.count("/") > len("//"):
        raise InvalidValueError("a base URL ends after the host and port")
    return url


def parse_service_url(text: str, schemes: tuple[str, ...]) -> str:
    """Read `http://gateway:8000/s10`: as `parse_base_url`, and a path may follow.

    Raises:
        InvalidValueError: Another scheme, no host, a bad port, credentials or a query.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValueError(f"not a URL: {error}") from error
    if parts.scheme not in schemes or not host:
        raise InvalidValueError(f"not a URL that starts with {' or '.join(schemes)}:// and a host")
    if "@" in parts.netloc:
        raise InvalidValueError("a base URL carries no user or password")
    if parts.query or parts.fragment:
        raise InvalidValueError("a base URL has no query and no fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def parse_enum_list(kind: type[_Word], text: str) -> tuple[_Word, ...]:
    """Read a comma separated list of the values of *kind*, each once, in the order given.

    Raises:
        InvalidValueError: An entry is not one of them, or there is none.
    """
    found: dict[_Word, None] = {}
    for entry in _entries(text):
        try:
            found[kind(entry)] = None
        except ValueError as error:
            raise InvalidValueError(f"{entry!r} is not one of {_listed(kind)}") from error
    if not found:
        raise InvalidValueError(f"name at least one of {_listed(kind)}")
    return tuple(found)


def parse_whole_number(text: str) -> int:
    """Read decimal digits.

    Raises:
        InvalidValueError: There is anything else.
    """
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()):
        raise InvalidValueError(f"{text!r} is not a whole number")
    return int(stripped)


def parse_host(text: str) -> str:
    """Read a host name or an IP address.

    Raises:
        InvalidValueError: It is empty or has a character that no host name has.
    """
    host = text.strip()
    if not host or any(c.isspace() or c in "/@,[]" for c in host):
        raise InvalidValueError(f"{text!r} is not a host name or an IP address")
    return host


def _text_parser(parse: Callable[[str], Any]) -> BeforeValidator:
    # A value that is not text was built in code (a test, the demo) and is checked by its type.
    return BeforeValidator(lambda given: parse(given) if isinstance(given, str) else given)


def parse_request_limits(text: str) -> tuple[tuple[LimitName, int], ...]:
    """Read `futures.funding=250, spot.weight=3000`; of one that is named twice the last counts.

    Raises:
        InvalidValueError: An entry is not a limit's name, `=` and a whole number above 0.
    """
    limits: dict[LimitName, int] = {}
    for entry in _entries(text):
        name, _, number = entry.partition("=")
        try:
            limits[LimitName(name.strip())] = parse_whole_number(number.strip())
        except ValueError as error:
            raise InvalidValueError(
                f"{entry!r} is not NAME=NUMBER with a name of {_listed(LimitName)}"
            ) from error
    if any(limit < 1 for limit in limits.values()):
        raise InvalidValueError("a limit is at least 1")
    return tuple(limits.items())


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _listed(kind: Iterable[StrEnum]) -> str:
    return ", ".join(word.value for word in kind)


WholeNumber = Annotated[int, _text_parser(parse_whole_number)]
HostName = Annotated[str, _text_parser(parse_host)]
HostNames = Annotated[
    frozenset[str],
    _text_parser(lambda text: frozenset(parse_host(each).lower() for each in _entries(text))),
]
Nodes = Annotated[tuple[RedisAddress, ...], _text_parser(parse_nodes)]
Venues = Annotated[tuple[Venue, ...], _text_parser(lambda text: parse_enum_list(Venue, text))]
Channels = Annotated[tuple[Channel, ...], _text_parser(lambda text: parse_enum_list(Channel, text))]
Contracts = Annotated[
    tuple[ContractKind, ...], _text_parser(lambda text: parse_enum_list(ContractKind, text))
]
RequestLimits = Annotated[tuple[tuple[LimitName, int], ...], _text_parser(parse_request_limits)]
SymbolNames = Annotated[
    tuple[Symbol, ...],
    _text_parser(lambda text: tuple(map(parse_symbol, _entries(text)))),
]
ShardSetting = Annotated[Shard, _text_parser(parse_shard)]
ConflationWindow = Annotated[
    WindowMs, _text_parser(lambda text: parse_window(parse_whole_number(text)))
]
RestUrl = Annotated[str | None, _text_parser(lambda text: parse_base_url(text, ("https", "http")))]
ServiceUrl = Annotated[
    str | None, _text_parser(lambda text: parse_service_url(text, ("https", "http")))
]
ArchiveUrl = Annotated[str, _text_parser(lambda text: parse_service_url(text, ("https", "http")))]
SocketServiceUrl = Annotated[
    str | None, _text_parser(lambda text: parse_service_url(text, ("wss", "ws")))
]
SocketUrl = Annotated[str | None, _text_parser(lambda text: parse_base_url(text, ("wss", "ws")))]
Amount = Annotated[Decimal, _text_parser(parse_usdt)]
Directions = Annotated[
    tuple[Direction, ...], _text_parser(lambda text: parse_enum_list(Direction, text))
]
Coordinators = Annotated[
    tuple[str, ...],
    _text_parser(
        lambda text: tuple(parse_base_url(each, ("https", "http")) for each in _entries(text))
    ),
]
