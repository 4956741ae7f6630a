"""`S1_REDIS_ADDRESSES`: host and port of the cluster's nodes."""

from msgspec import Struct

from chimera_s1.domain.errors import ConfigurationError

_PORT_MAX = 65535


class RedisAddress(Struct, frozen=True):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_addresses(text: str) -> tuple[RedisAddress, ...]:
    """Parse `redis-0:7000,[::1]:7000`, without duplicates.

    Raises:
        ConfigurationError: An entry is not host:port, or the list is empty.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise ConfigurationError(
            "S1_REDIS_ADDRESSES is empty; expected host:port,host:port, "
            "like 10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379"
        )
    return tuple(dict.fromkeys(_parse_address(entry) for entry in entries))


def _parse_address(entry: str) -> RedisAddress:
    host, colon, port = entry.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    plain = bracketed or not set(host) & set(":/@[]")
    # A URL may contain a password.
    shown = "an entry with a user or password" if "@" in entry else repr(entry)
    if not (colon and name and plain and port.isascii() and port.isdigit()):
        raise ConfigurationError(
            f"S1_REDIS_ADDRESSES: {shown} is not host:port; expected a list like "
            "10.0.0.1:6379,10.0.0.2:6379 (no redis:// and no password in it)"
        )
    if not 0 < int(port) <= _PORT_MAX:
        raise ConfigurationError(
            f"S1_REDIS_ADDRESSES: {shown} has port {port}; ports range from 1 to {_PORT_MAX}"
        )
    return RedisAddress(name, int(port))
