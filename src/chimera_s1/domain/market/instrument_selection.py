"""Which instruments this instance serves: what the user named, what the venue lists,
which shard.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue, parse_symbol

QUOTE_ASSET = "USDT"
EVERY_SYMBOL = "*"
SHARDS_MAX = 1024  # more than any cluster has cores
_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


class Listing(Struct, frozen=True):
    """One instrument as the venue lists it.

    Attributes:
        instrument: What is listed.

        quote_asset: What it is priced in, `USDT`.

        trading: True while orders match (`status` is TRADING).
    """

    instrument: InstrumentId
    quote_asset: str
    trading: bool


class SymbolFilter(Struct, frozen=True):
    """What the user asked for: every USDT instrument that trades, or named ones.

    Attributes:
        every: True for `*`.

        named: Instruments named one by one; a bare symbol names it on each venue served.
    """

    every: bool
    named: frozenset[InstrumentId]


class Selection(Struct, frozen=True):
    """The instruments to subscribe, and the names no venue knows.

    Attributes:
        instruments: Of this shard, in order.

        unlisted: Named by the user, not listed by the venue, in order.
    """

    instruments: tuple[InstrumentId, ...]
    unlisted: tuple[InstrumentId, ...]


class Shard(Struct, frozen=True):
    """A share of the instruments: number *index* of *count*, from 0."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


SINGLE_SHARD = Shard(0, 1)


def parse_shard(text: str) -> Shard:
    """Read `0/4`: the first of four shards.

    Raises:
        InvalidValueError: It is not index/count with 0 <= index < count <= 1024.
    """
    numbers = _SHARD.fullmatch(text)
    if numbers is None:
        raise InvalidValueError(f"{text!r} is not a shard; write index/count, like 0/4")
    shard = Shard(*map(int, numbers.groups()))
    if not 0 <= shard.index < shard.count <= SHARDS_MAX:
        raise InvalidValueError(
            f"{text!r} is not a shard; the index runs from 0 to count - 1, "
            f"the count to {SHARDS_MAX}"
        )
    return shard


def parse_symbol_filter(text: str, venues: Iterable[Venue]) -> SymbolFilter:
    """Read `*`, or a comma separated list of `BTCUSDT` (on every venue) and `perp/BTCUSDT`.

    Raises:
        InvalidValueError: An entry is neither a symbol nor an instrument, or the list is empty.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise InvalidValueError(
            "no symbol is named; write a list like BTCUSDT,ETHUSDT, or * for all"
        )
    if entries == [EVERY_SYMBOL]:
        return SymbolFilter(every=True, named=frozenset())
    served = tuple(venues)
    named: set[InstrumentId] = set()
    for entry in entries:
        if "/" in entry:
            named.add(InstrumentId.parse(entry))
        else:
            named.update(InstrumentId(venue, parse_symbol(entry)) for venue in served)
    return SymbolFilter(every=False, named=frozenset(named))


def select_instruments(
    choice: SymbolFilter, listings: Iterable[Listing], venue: Venue, shard: Shard
) -> Selection:
    """The instruments of *venue* that *shard* serves.

    A named instrument is served whatever its status (a halted book still has a quote); `*` takes
    what trades and is quoted in USDT.
    """
    listed = {
        listing.instrument: listing for listing in listings if listing.instrument.venue is venue
    }
    if choice.every:
        wanted = {i for i, row in listed.items() if row.trading and row.quote_asset == QUOTE_ASSET}
        unknown: set[InstrumentId] = set()
    else:
        named = {i for i in choice.named if i.venue is venue}
        wanted, unknown = named & listed.keys(), named - listed.keys()
    chosen = tuple(sorted(i for i in wanted if shard_of(i.symbol, shard.count) == shard.index))
    return Selection(instruments=chosen, unlisted=tuple(sorted(unknown)))


def shard_of(symbol: Symbol, count: int) -> int:
    """The shard of *count* that serves *symbol*, by rendezvous hashing (Thaler and Ravishankar
    1998).

    Spot and perp of one symbol share a shard. When the count grows by one, only the symbols that
    the new shard wins move.
    """
    key = symbol.encode()
    return max(
        range(count),
        key=lambda shard: blake2b(key, digest_size=8, salt=shard.to_bytes(2, "big")).digest(),
    )
