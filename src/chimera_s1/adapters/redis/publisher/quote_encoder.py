"""Encodes quotes as RESP, and parses error replies.

The constant parts of a command (name, stream, field names) are encoded once per instrument.
Protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    ResponseError,
)

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.errors import configuration_advice
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.redis.quote_entry import QUOTE_FIELDS, quote_values
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import entry_id

ASKING: Final = "*1\r\n$6\r\nASKING\r\n"

_TS, _SYMBOL, _BID, _ASK, _MID, _SPREAD, _TOP_QTY, _TOP_USDT, _SRC = (
    f"${len(name)}\r\n{name}\r\n" for name in QUOTE_FIELDS
)
_CREDENTIALS_REFUSED = ("NOAUTH", "WRONGPASS")


class EncodedStreamPrefix(Struct, frozen=True, gc=False):
    """The constant parts of an XADD: *head* precedes the id, *middle* the value of `bid1`."""

    slot: int
    head: str
    middle: str


class QuoteEncoder(dict[InstrumentId, EncodedStreamPrefix]):
    """Encodes `XADD <stream> MAXLEN ~ <maxlen> <id> ...`; caches one prefix per instrument."""

    def __init__(self, maxlen: int, window: WindowMs) -> None:
        super().__init__()
        self._maxlen = maxlen
        self._window = window
        self._window_start = self._window_end = 0
        self._ids: dict[str, str] = {}
        self._sources: dict[str, str] = {}

    def __missing__(self, instrument: InstrumentId) -> EncodedStreamPrefix:
        name = quote_stream(instrument)
        words = ("XADD", name, "MAXLEN", "~", str(self._maxlen))
        arguments = len(words) + 1 + 2 * len(QUOTE_FIELDS)
        head = f"*{arguments}\r\n" + "".join(map(bulk_string, words))
        middle = f"\r\n{_SYMBOL}{bulk_string(instrument.symbol)}{_BID}"
        stream = EncodedStreamPrefix(int(key_slot(name.encode())), head, middle)
        self[instrument] = stream
        return stream

    def encode(self, quote: Quote) -> str:
        stream = self[quote.instrument]
        ts, _, bid, ask, mid, spread, qty, usdt, source = quote_values(quote)
        in_window = self._window_start <= quote.received_ms < self._window_end
        # All quotes of a source and window have the same id.
        id_and_ts = self._ids.get(source) if in_window and quote.entry_id is None else None
        return (
            f"{stream.head}{id_and_ts or self._encode_id(quote)}${len(ts)}\r\n{ts}{stream.middle}"
            f"${len(bid)}\r\n{bid}\r\n{_ASK}${len(ask)}\r\n{ask}\r\n"
            f"{_MID}${len(mid)}\r\n{mid}\r\n{_SPREAD}${len(spread)}\r\n{spread}\r\n"
            f"{_TOP_QTY}${len(qty)}\r\n{qty}\r\n{_TOP_USDT}${len(usdt)}\r\n{usdt}\r\n"
            f"{self._sources.get(source) or self._encode_source(source)}"
        )

    def encode_pipeline(
        self, quotes: Sequence[Quote], positions: Iterable[int], asking: Collection[int]
    ) -> bytes:
        """The commands for the quotes at *positions*, with ASKING in front of those in *asking*."""
        command = self.encode
        if not asking:
            return "".join([command(quotes[position]) for position in positions]).encode()
        return "".join(
            (ASKING if position in asking else "") + command(quotes[position])
            for position in positions
        ).encode()

    def _encode_id(self, quote: Quote) -> str:
        """The id, and the name of `ts` after it."""
        if self._window == 0 and quote.entry_id is None:
            text = f"{quote.received_ms}-{quote.update_id}"  # natural_entry_id, inlined
            return f"${len(text)}\r\n{text}\r\n{_TS}"
        encoded = bulk_string(str(entry_id(quote, self._window))) + _TS
        if quote.entry_id is None:
            self._keep_id(quote, encoded)
        return encoded

    def _keep_id(self, quote: Quote, encoded: str) -> None:
        if not self._window_start <= quote.received_ms < self._window_end:
            self._window_start = quote.received_ms
            self._window_end = window_end(quote.received_ms, self._window)
            self._ids.clear()
        self._ids[quote.source] = encoded

    def _encode_source(self, source: str) -> str:
        self._sources[source] = encoded = _SRC + bulk_string(source)
        return encoded


class Redirect(Struct, frozen=True):
    """`MOVED <slot> <host>:<port>`: the slot has a new owner; or `ASK <slot> <host>:<port>`: only
    this command is redirected.
    """

    moved: bool
    slot: int
    target: RedisAddress

    @classmethod
    def parse(cls, text: str, sender: RedisAddress) -> "Redirect | None":
        """None if *text* is not a redirect. Without a host it is another port of the *sender*
        (`cluster-preferred-endpoint-type unknown-endpoint`).
        """
        kind, _, rest = text.partition(" ")
        if kind not in {"MOVED", "ASK"}:
            return None
        slot, _, endpoint = rest.partition(" ")
        host, _, port = endpoint.rpartition(":")
        if not (slot.isdigit() and port.isdigit()):
            return None
        target_host = host.strip("[]") if host not in {"", "?"} else sender.host
        return cls(
            moved=kind == "MOVED", slot=int(slot), target=RedisAddress(target_host, int(port))
        )


def bulk_string(text: str) -> str:
    return f"${len(text) if text.isascii() else len(text.encode())}\r\n{text}\r\n"


def encode_command(*arguments: str) -> str:
    return f"*{len(arguments)}\r\n" + "".join(map(bulk_string, arguments))


def parse_error_reply(text: str) -> ResponseError | AuthenticationError:
    """The redis-py exception for an error reply, for `configuration_advice`."""
    if text.startswith(_CREDENTIALS_REFUSED):
        return AuthenticationError(text)
    return NoPermissionError(text) if text.startswith("NOPERM") else ResponseError(text)


def error_reply_text(text: str) -> str:
    """One line: what to change in the settings, or else the server's own words."""
    return configuration_advice(parse_error_reply(text)) or text.partition("\n")[0]
