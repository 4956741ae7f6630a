"""Price paths are deterministic, books are never crossed, update ids only grow."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.order_books import (
    BOOK_LEVELS,
    PATH_LENGTH,
    asks_of,
    bids_of,
    changed_asks,
    changed_bids,
    price_path,
)
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec, build_symbols, format_fixed
from chimera_s1.domain.identifiers import Venue

SPECS = build_symbols(30)
specs = st.sampled_from(SPECS)
seeds = st.integers(min_value=0, max_value=2**32)


@given(spec=specs, seed=seeds)
def test_the_same_seed_gives_the_same_path(spec: SymbolSpec, seed: int) -> None:
    assert price_path(spec, seed) == price_path(spec, seed)


@given(spec=specs, seed=seeds)
def test_books_are_never_crossed_locked_or_empty(spec: SymbolSpec, seed: int) -> None:
    for book in price_path(spec, seed):
        assert 0 < book.bid < book.ask
        assert min(book.bid_steps, book.ask_steps) > 0


@given(spec=specs, seed=seeds)
def test_a_path_is_cyclic(spec: SymbolSpec, seed: int) -> None:
    """The step from the last book to the first is no larger than any other."""
    path = price_path(spec, seed)
    steps = [abs(new.bid - old.bid) for old, new in pairwise(path)]

    assert abs(path[0].bid - path[-1].bid) <= 2 * max(steps) + 2


def test_different_seeds_give_different_paths() -> None:
    assert price_path(SPECS[0], 1) != price_path(SPECS[0], 2)


@given(spec=specs, seed=seeds, levels=st.integers(min_value=1, max_value=BOOK_LEVELS))
def test_depth_is_sorted_from_the_best_price(spec: SymbolSpec, seed: int, levels: int) -> None:
    book = price_path(spec, seed)[0]
    bids, asks = bids_of(book, levels), asks_of(book, levels)

    assert bids[0] == (book.bid, book.bid_steps)
    assert asks[0] == (book.ask, book.ask_steps)
    assert [price for price, _ in bids] == sorted({price for price, _ in bids}, reverse=True)
    assert [price for price, _ in asks] == sorted({price for price, _ in asks})
    assert len(bids) == len(asks) == levels
    assert all(steps > 0 for _, steps in bids + asks)


@given(
    spec=specs,
    seed=seeds,
    start=st.integers(min_value=0, max_value=PATH_LENGTH),
    steps=st.integers(min_value=0, max_value=PATH_LENGTH + 20),
    data=st.data(),
)
def test_a_diff_turns_any_snapshot_within_its_ids_into_the_last_book(
    spec: SymbolSpec, seed: int, start: int, steps: int, data: st.DataObject
) -> None:
    """Binance's procedure applies a diff to a snapshot taken anywhere within the diff's ids."""
    market = SymbolMarket(spec, seed, 0)
    for _ in range(start):
        market.advance()
    before = market.update_id
    books = [market.book]
    for _ in range(steps):
        market.advance()
        books.append(market.book)
    snapshot, last = data.draw(st.sampled_from(books)), books[-1]

    passed = market.books_since(before)

    for side, touched in ((bids_of, changed_bids), (asks_of, changed_asks)):
        local = dict(side(snapshot, BOOK_LEVELS)) | dict(touched(passed))
        levels = {price: steps for price, steps in local.items() if steps}
        assert levels == dict(side(last, BOOK_LEVELS))


def test_update_ids_grow_and_spot_ids_are_contiguous() -> None:
    spot, perp = (SymbolMarket(spec, 1, 1000) for spec in SPECS[:2])
    for market in (spot, perp):
        market.advance()

    assert spot.update_id == 1001
    assert perp.update_id > 1001


def test_update_ids_start_higher_after_a_restart() -> None:
    """A consumer that drops ids it has seen must accept those after a restart."""
    first, second = (Market(SPECS, 1, start).find(Venue.SPOT, "BTCUSDT") for start in (1000, 2000))

    assert first is not None
    assert second is not None
    assert second.update_id > first.update_id


@given(value=st.integers(min_value=0, max_value=10**15), decimals=st.integers(0, 10))
def test_numbers_are_formatted_with_all_their_decimals(value: int, decimals: int) -> None:
    text = format_fixed(value, decimals)

    assert int(text.replace(".", "")) == value
    assert len(text.partition(".")[2]) == decimals


def test_each_venue_lists_the_requested_number_of_symbols() -> None:
    for venue in Venue:
        names = [
            spec.symbol
            for spec in build_symbols(300)
            if spec.venue is venue
            and spec.is_trading
            and spec.quote == "USDT"
            and spec.contract_type == "PERPETUAL"
        ]
        assert len(names) == len(set(names)) == 300
        assert {"BTCUSDT", "ETHUSDT", "SIM0001USDT"} <= set(names)


def test_instruments_that_a_consumer_must_filter_out_are_listed() -> None:
    assert {spec.status for spec in SPECS} > {"TRADING", "BREAK", "SETTLING"}
    assert {spec.quote for spec in SPECS} > {"USDT", "BTC"}
    assert {spec.margin_kind for spec in SPECS} == {1, 2}
    assert {spec.contract_type for spec in SPECS} > {"PERPETUAL", "CURRENT_QUARTER"}
