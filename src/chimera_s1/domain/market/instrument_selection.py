"""Select the instruments of this instance from `S1_SYMBOLS`, the venue's listing and the shard."""

import re
from collections.abc import Iterable
from enum import StrEnum
from hashlib import blake2b

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue, parse_symbol

QUOTE_ASSET = "USDT"
EVERY_SYMBOL = "*"
SYMBOLS_OF_S10 = "s10"
SHARDS_MAX = 1024  # more than any cluster has cores
_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


class ContractKind(StrEnum):
    """Kinds of futures contracts that `*` may select; the value is used in `S1_CONTRACTS`."""

    PERPETUAL = "perpetual"
    TRADFI = "tradfi"
    DATED = "dated"


_CONTRACT_KINDS = {
    "PERPETUAL": ContractKind.PERPETUAL,
    "TRADIFI_PERPETUAL": ContractKind.TRADFI,
    "CURRENT_MONTH": ContractKind.DATED,
    "NEXT_MONTH": ContractKind.DATED,
    "CURRENT_QUARTER": ContractKind.DATED,
    "NEXT_QUARTER": ContractKind.DATED,
}
"""By `contractType` (Binance, USD-M "Common Definition")."""


def contract_kind(contract_type: str) -> ContractKind | None:
    """None for a contract type that this version does not know."""
    # While a contract expires, its type ends in DELIVERING.
    name = contract_type.removesuffix("DELIVERING").rstrip(" _")
    return _CONTRACT_KINDS.get(name)


class Listing(Struct, frozen=True):
    """An instrument listed by a venue.

    Attributes:
        trading: True for status TRADING.
        contract_type: In the venue's words; empty on spot.
        contract: None on spot, and for a contract type that this version does not know.
    """

    instrument: InstrumentId
    quote_asset: str
    trading: bool
    contract_type: str = ""
    contract: ContractKind | None = None


class SymbolFilter(Struct, frozen=True):
    """`S1_SYMBOLS` and `S1_CONTRACTS`.

    Attributes:
        every: All instruments that trade in USDT (`*`); of futures, those of a kind in *contracts*.
        named: The instruments to serve where *every* is False, whatever their contract.
    """

    every: bool
    named: frozenset[InstrumentId]
    contracts: frozenset[ContractKind] = frozenset({ContractKind.PERPETUAL})


class SymbolsOfS10(Struct, frozen=True):
    """`S1_SYMBOLS=s10`: the instruments that S10 names are served."""


class Selection(Struct, frozen=True):
    """What a venue's listing gives for a shard; each sorted.

    Attributes:
        instruments: Those to serve.
        unlisted: Named, but not in the listing.
        unknown_contracts: Trading in USDT, not served: `*` does not know their contract type.
    """

    instruments: tuple[InstrumentId, ...]
    unlisted: tuple[InstrumentId, ...]
    unknown_contracts: tuple[Listing, ...] = ()


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
        InvalidValueError: The list is empty, or an entry is neither a symbol nor an instrument, or
            is not quoted in USDT.
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
    _check_quote_asset(named)
    return SymbolFilter(every=False, named=frozenset(named))


def _check_quote_asset(named: Iterable[InstrumentId]) -> None:
    # Binance names a dated contract BTCUSDT_261225.
    foreign = [
        str(i) for i in sorted(named) if not i.symbol.partition("_")[0].endswith(QUOTE_ASSET)
    ]
    if foreign:
        raise InvalidValueError(
            f"{', '.join(foreign)}: not quoted in {QUOTE_ASSET}, so its top1_usdt would be wrong"
        )


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
        return _select_all(choice.contracts, listed.values(), venue, shard)
    named = {i for i in choice.named if i.venue is venue}
    return Selection(
        instruments=_of_shard(named & listed.keys(), shard),
        unlisted=tuple(sorted(named - listed.keys())),
    )


def _select_all(
    contracts: frozenset[ContractKind], listings: Iterable[Listing], venue: Venue, shard: Shard
) -> Selection:
    rows = [row for row in listings if row.trading and row.quote_asset == QUOTE_ASSET]
    wanted = {row.instrument for row in rows if venue is Venue.SPOT or row.contract in contracts}
    unknown = [row for row in rows if venue is Venue.PERP and row.contract is None]
    return Selection(
        instruments=_of_shard(wanted, shard),
        unlisted=(),
        unknown_contracts=tuple(sorted(unknown, key=lambda row: row.instrument)),
    )


def _of_shard(instruments: Iterable[InstrumentId], shard: Shard) -> tuple[InstrumentId, ...]:
    return tuple(sorted(i for i in instruments if shard_of(i.symbol, shard.count) == shard.index))


def shard_of(symbol: Symbol, count: int) -> int:
    """The shard of *symbol* by rendezvous hashing (Thaler and Ravishankar 1998).

    Spot and perp of a symbol share a shard. A new shard moves only the symbols that it gets.
    """
    key = symbol.encode()
    return max(
        range(count),
        key=lambda shard: blake2b(key, digest_size=8, salt=shard.to_bytes(2, "big")).digest(),
    )
