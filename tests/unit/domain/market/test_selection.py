"""Selection by symbol, listing and shard; shards neither lose nor share instruments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import (
    SINGLE_SHARD,
    ContractKind,
    Listing,
    Shard,
    SymbolFilter,
    contract_kind,
    parse_shard,
    parse_symbol_filter,
    select_instruments,
    shard_of,
)
from tests.unit.domain.strategies import instruments, symbols, venues

counts = st.integers(1, 40)
listings = st.lists(
    st.builds(
        Listing,
        instruments,
        st.sampled_from(["USDT", "USDC", "BTC"]),
        st.booleans(),
        st.just("X"),
        st.none() | st.sampled_from(ContractKind),
    ),
    unique_by=lambda listing: listing.instrument,
)
choices = st.one_of(
    st.just(SymbolFilter(every=True, named=frozenset())),
    st.builds(SymbolFilter, st.just(value=False), st.frozensets(instruments, min_size=1)),
)


def listing(
    name: str,
    quote_asset: str = "USDT",
    *,
    trading: bool = True,
    contract: ContractKind | None = None,
) -> Listing:
    return Listing(InstrumentId.parse(name), quote_asset, trading, "AS_LISTED", contract)


def named(*names: str) -> frozenset[InstrumentId]:
    return frozenset(map(InstrumentId.parse, names))


@given(symbols, counts)
def test_every_symbol_is_on_a_shard_that_exists(symbol: Symbol, count: int) -> None:
    assert 0 <= shard_of(symbol, count) < count


@given(symbols, counts)
def test_a_new_shard_only_takes_symbols_for_itself(symbol: Symbol, count: int) -> None:
    """Growing from *count* to one more, a symbol stays where it was or moves to the new shard."""
    assert shard_of(symbol, count + 1) in {shard_of(symbol, count), count}


def test_shard_assignment_is_fixed() -> None:
    """Instances of different versions must agree, or a symbol is served twice or not at all."""
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")

    assert [shard_of(Symbol(name), 4) for name in names] == [3, 0, 0, 1, 0]


def test_shards_are_balanced() -> None:
    """Of 4000 symbols on 8 shards none has less than 80 % or more than 120 % of its share."""
    filled = [0] * 8
    for number in range(4000):
        filled[shard_of(Symbol(f"S{number}USDT"), 8)] += 1

    assert min(filled) >= 400
    assert max(filled) <= 600


@given(choices, listings, venues, counts)
def test_shards_divide_the_selection_without_loss_or_overlap(
    choice: SymbolFilter, rows: list[Listing], venue: Venue, count: int
) -> None:
    whole = select_instruments(choice, rows, venue, SINGLE_SHARD)
    parts = [select_instruments(choice, rows, venue, Shard(index, count)) for index in range(count)]

    assert sorted(i for part in parts for i in part.instruments) == list(whole.instruments)
    assert {part.unlisted for part in parts} == {whole.unlisted}


@given(choices, listings, venues)
def test_selected_symbols_are_listed_and_unlisted_ones_are_not(
    choice: SymbolFilter, rows: list[Listing], venue: Venue
) -> None:
    selection = select_instruments(choice, rows, venue, SINGLE_SHARD)
    listed = {row.instrument for row in rows}

    assert set(selection.instruments) <= listed
    assert not set(selection.unlisted) & listed
    assert all(i.venue is venue for i in selection.instruments + selection.unlisted)
    assert selection.instruments == tuple(sorted(set(selection.instruments)))
    if not choice.every:
        ours = {i for i in choice.named if i.venue is venue}
        assert ours == {*selection.instruments, *selection.unlisted}


def test_star_selects_instruments_trading_in_usdt() -> None:
    rows = [
        listing("spot/BTCUSDT"),
        listing("spot/ETHUSDT"),
        listing("spot/LUNCUSDT", trading=False),
        listing("spot/ETHBTC", "BTC"),
        listing("perp/BTCUSDT"),
    ]

    selection = select_instruments(parse_symbol_filter("*", Venue), rows, Venue.SPOT, SINGLE_SHARD)

    assert [str(i) for i in selection.instruments] == ["spot/BTCUSDT", "spot/ETHUSDT"]
    assert not selection.unlisted


def test_named_instrument_is_served_while_not_trading() -> None:
    rows = [listing("spot/LUNCUSDT", trading=False), listing("spot/BTCUSDT")]

    selection = select_instruments(
        parse_symbol_filter("LUNCUSDT,NOPEUSDT", Venue), rows, Venue.SPOT, SINGLE_SHARD
    )

    assert [str(i) for i in selection.instruments] == ["spot/LUNCUSDT"]
    assert [str(i) for i in selection.unlisted] == ["spot/NOPEUSDT"]


CONTRACTS = [
    listing("perp/BTCUSDT", contract=ContractKind.PERPETUAL),
    listing("perp/XAUUSDT", contract=ContractKind.TRADFI),
    listing("perp/BTCUSDT_261225", contract=ContractKind.DATED),
    listing("perp/NEWUSDT"),
    listing("perp/OLDUSDT", trading=False),
]


@pytest.mark.parametrize(
    ("kinds", "chosen"),
    [
        ({ContractKind.PERPETUAL}, named("perp/BTCUSDT")),
        ({ContractKind.TRADFI}, named("perp/XAUUSDT")),
        (set(ContractKind), named("perp/BTCUSDT", "perp/XAUUSDT", "perp/BTCUSDT_261225")),
    ],
)
def test_star_selects_futures_of_the_wanted_kinds(
    kinds: set[ContractKind], chosen: frozenset[InstrumentId]
) -> None:
    """A contract type that this version does not know is reported, and never selected."""
    every = SymbolFilter(every=True, named=frozenset(), contracts=frozenset(kinds))

    selection = select_instruments(every, CONTRACTS, Venue.PERP, SINGLE_SHARD)

    assert frozenset(selection.instruments) == chosen
    assert [str(row.instrument) for row in selection.unknown_contracts] == ["perp/NEWUSDT"]


def test_a_named_future_is_served_whatever_its_contract() -> None:
    names = parse_symbol_filter("XAUUSDT,BTCUSDT_261225,NEWUSDT", [Venue.PERP])

    selection = select_instruments(names, CONTRACTS, Venue.PERP, SINGLE_SHARD)

    assert frozenset(selection.instruments) == names.named
    assert selection.unknown_contracts == ()


@pytest.mark.parametrize("text", ["ETHBTC", "BTCUSDT,spot/BTCUSDC", "ETHBTC_261225"])
def test_a_name_that_is_not_quoted_in_usdt_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="not quoted in USDT"):
        parse_symbol_filter(text, Venue)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("BTCUSDT", named("spot/BTCUSDT", "perp/BTCUSDT")),
        (" btcusdt , perp/ethusdt,", named("spot/BTCUSDT", "perp/BTCUSDT", "perp/ETHUSDT")),
        ("spot/BTCUSDT,spot/BTCUSDT", named("spot/BTCUSDT")),
    ],
)
def test_named_instruments_are_parsed(text: str, chosen: frozenset[InstrumentId]) -> None:
    assert parse_symbol_filter(text, Venue) == SymbolFilter(every=False, named=chosen)


def test_a_bare_symbol_names_only_the_venues_served() -> None:
    assert parse_symbol_filter("BTCUSDT", [Venue.PERP]).named == named("perp/BTCUSDT")


@pytest.mark.parametrize("text", [" * ", "*,"])
def test_star_alone_selects_all(text: str) -> None:
    assert parse_symbol_filter(text, Venue) == SymbolFilter(every=True, named=frozenset())


@pytest.mark.parametrize("text", ["", " , ", "*,BTCUSDT", "BTC USDT", "margin/BTCUSDT"])
def test_a_list_with_something_else_in_it_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_symbol_filter(text, Venue)


@given(st.integers(1, 1024).flatmap(lambda n: st.builds(Shard, st.integers(0, n - 1), st.just(n))))
def test_a_shard_reads_back_from_its_text(shard: Shard) -> None:
    assert parse_shard(str(shard)) == shard


@pytest.mark.parametrize(
    "text",
    ["", "1", "0/0", "1/1", "4/4", "-1/4", "0/1025", "a/b", "0/4/2", "²/4", "0/" + "9" * 5000],
)
def test_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="is not a shard"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("contract_type", "kind"),
    [
        ("PERPETUAL", ContractKind.PERPETUAL),
        ("TRADIFI_PERPETUAL", ContractKind.TRADFI),
        ("CURRENT_MONTH", ContractKind.DATED),
        ("NEXT_MONTH", ContractKind.DATED),
        ("CURRENT_QUARTER", ContractKind.DATED),
        ("NEXT_QUARTER", ContractKind.DATED),
        ("CURRENT_QUARTER DELIVERING", ContractKind.DATED),
        ("PERPETUAL DELIVERING", ContractKind.PERPETUAL),
        ("PERPETUAL_DELIVERING", ContractKind.PERPETUAL),
        ("WEEKLY", None),
        ("", None),
    ],
)
def test_a_contract_type_has_a_kind(contract_type: str, kind: ContractKind | None) -> None:
    assert contract_kind(contract_type) is kind
