"""Names of all streams and keys, without hash tags: symbols spread over the slots."""

from typing import Final

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue

OPERATIONS_STREAM: Final = "ops:events"
EXECUTED_ORDERS_STREAM: Final = "orders:executed"
STOPS_STREAM: Final = "risk:sl_arm"
SPOT_EXITS_STREAM: Final = "spot:oco:armed"
ROUND_TRIP_STREAM: Final = "metrics:events:s1.ws_rtt"
ROUND_TRIP_HASH: Final = "metrics:s1:ws_rtt"
THROUGHPUT_KEY: Final = "s1.mkt_throughput"
DEAD_LETTER_STREAM: Final = "dlq:s1"
KILL_SWITCH_KEY: Final = "kill_switch"
ACTIVE_REVISION_KEY: Final = "cfg:active_rev"
CONFIGURATION_STREAM: Final = "cfg:events"

SLOT_COUNT: Final = 16384
"""Fixed in every Redis Cluster."""

_QUOTE_PREFIX: Final = "mkt:events:"
_PUBLISHER_LEASE_PREFIX: Final = "s1:lease:publisher:"


def account_claim_key(account: str) -> str:
    """`s1:account:live:354937868`."""
    return f"s1:account:{account}"


def ledger_head_key(account: str, installation: str) -> str:
    """`s1:account:live:354937868:<installation>`."""
    return f"{account_claim_key(account)}:{installation}"


def quote_stream(instrument: InstrumentId) -> str:
    """`mkt:events:spot:BTCUSDT`."""
    return f"{_QUOTE_PREFIX}{instrument.venue.value}:{instrument.symbol}"


def funding_stream(symbol: Symbol) -> str:
    """`mkt:events:funding:BTCUSDT`; funding is no venue, so it is no quote stream."""
    return f"{_QUOTE_PREFIX}funding:{symbol}"


def status_stream(venue: Venue) -> str:
    """`mkt:status:spot`."""
    return f"mkt:status:{venue.value}"


HEARTBEAT_INDEX = "s1:heartbeat:instances"


def heartbeat_key(instance: str) -> str:
    """`s1:heartbeat:host-1234`."""
    return f"s1:heartbeat:{instance}"


def hold_key(environment: str, venue: Venue) -> str:
    """`s1:hold:live:spot`."""
    return f"s1:hold:{environment}:{venue.value}"


def publisher_lease_key(name: str) -> str:
    return f"{_PUBLISHER_LEASE_PREFIX}{name}"


def quote_pattern(venue: Venue) -> str:
    """For SCAN: `mkt:events:spot:*`."""
    return f"{_QUOTE_PREFIX}{venue.value}:*"


def quoted_instrument(stream: str) -> InstrumentId | None:
    """The instrument of a quote stream; None for any other name."""
    venue, _, symbol = stream.removeprefix(_QUOTE_PREFIX).partition(":")
    try:
        instrument = InstrumentId.parse(f"{venue}/{symbol}")
    except InvalidValueError:
        return None
    return instrument if quote_stream(instrument) == stream else None
