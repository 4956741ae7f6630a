"""Select the instruments of this instance from `S1_SYMBOLS`, the venue's listing and the shard."""

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
    """An instrument listed by a venue; *trading* is True for status TRADING."""

    instrument: InstrumentId
    quote_asset: str
    trading: bool


class SymbolFilter(Struct, frozen=True):
    """`S1_SYMBOLS`: *every* trading USDT instrument (`*`), or the *named* ones."""

    every: bool
    named: frozenset[InstrumentId]


class Selection(Struct, frozen=True):
    """Instruments of this shard, and named instruments that the venue does not list; sorted."""

    instruments: tuple[InstrumentId, ...]
    unlisted: tuple[InstrumentId, ...]


class Shard(Struct, frozen=True):
    """Share *index* (from 0) of *count* shares of the instruments."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


SINGLE_SHARD = Shard(0, 1)


def parse_shard(text: str) -> Shard:
    """Read `0/4`: the first of four shards.

    Raises:
        InvalidValueError: *text* is not index/count with 0 <= index < count <= 1024.
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
        InvalidValueError: The list is empty, or an entry is neither a symbol nor an instrument.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise InvalidValueError("no symbols given; write a list like BTCUSDT,ETHUSDT, or * for all")
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
    """The instruments of *venue* for *shard*.

    A named instrument is served in any status: a halted book still has a quote.
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
    """The shard of *symbol* by rendezvous hashing (Thaler and Ravishankar 1998).

    Spot and perp of a symbol share a shard. A new shard moves only the symbols that it gets.
    """
    key = symbol.encode()
    return max(
        range(count),
        key=lambda shard: blake2b(key, digest_size=8, salt=shard.to_bytes(2, "big")).digest(),
    )
