"""Price paths are deterministic, books are never crossed, update ids only grow."""

from itertools import pairwise

import pytest
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
from chimera_s1.domain.errors import InvalidValueError
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
    before = market.version
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


@given(
    spec=specs,
    moves=st.lists(st.integers(-5000, 5000) | st.none(), max_size=12),
    rest=st.integers(0, PATH_LENGTH + 20),
    data=st.data(),
)
def test_a_diff_holds_over_moves_of_the_price(
    spec: SymbolSpec, moves: list[int | None], rest: int, data: st.DataObject
) -> None:
    market = SymbolMarket(spec, 1, 0)
    before, books = market.version, [market.book]
    for move in [*moves, *[None] * rest]:
        if move is None or market.book.bid + move < 20 * BOOK_LEVELS:
            market.advance()
        else:
            market.move_price(market.book.bid + move)
        books.append(market.book)
    snapshot, last = data.draw(st.sampled_from(books)), books[-1]

    passed = market.books_since(before)

    for side, touched in ((bids_of, changed_bids), (asks_of, changed_asks)):
        local = dict(side(snapshot, BOOK_LEVELS)) | dict(touched(passed))
        levels = {price: steps for price, steps in local.items() if steps}
        assert levels == dict(side(last, BOOK_LEVELS))


def test_a_moved_price_is_the_last_price_and_the_path_goes_on_from_there() -> None:
    market = SymbolMarket(SPECS[0], 1, 1000)
    start = market.last_trade[0]

    market.move_price(start + 100_000)
    assert market.last_trade[0] == start + 100_000
    market.advance()

    assert market.update_id == 1002
    assert abs(market.last_trade[0] - start - 100_000) < 100
    assert market.day.high >= market.last_trade[0]


def test_a_wide_move_changes_only_the_levels_that_were_shown() -> None:
    market = SymbolMarket(SPECS[0], 1, 1000)
    before = market.version
    market.move_price(2 * market.book.bid)

    passed = market.books_since(before)

    assert len(changed_bids(passed)) == len(changed_asks(passed)) == 2 * BOOK_LEVELS


def test_a_price_without_room_for_its_bids_is_refused() -> None:
    market = SymbolMarket(SPECS[0], 1, 1000)

    with pytest.raises(InvalidValueError, match="choose a higher price"):
        market.move_price(BOOK_LEVELS)

    assert market.update_id == 1000


def test_spot_ids_are_contiguous_and_futures_ids_are_not() -> None:
    spot, perp = (SymbolMarket(spec, 1, 1000) for spec in SPECS[:2])
    ids: dict[Venue, list[int]] = {Venue.SPOT: [1000], Venue.PERP: [1000]}
    for _ in range(50):
        for market in (spot, perp):
            market.advance()
            ids[market.spec.venue].append(market.update_id)

    steps = {venue: {b - a for a, b in pairwise(ids[venue])} for venue in Venue}
    assert steps[Venue.SPOT] == {1}
    assert min(steps[Venue.PERP]) >= 1
    assert len(steps[Venue.PERP]) > 5


@given(
    spec=specs,
    start=st.integers(min_value=0, max_value=1000),
    count=st.integers(min_value=1, max_value=20),
)
def test_the_first_id_of_an_event_lies_between_the_ids_around_it(
    spec: SymbolSpec, start: int, count: int
) -> None:
    """A snapshot with any id after the previous event falls into this one: `U <= id <= u`."""
    market = SymbolMarket(spec, 1, 1000)
    for _ in range(start):
        market.advance()
    before = market.version
    market.advance()
    first_update = market.update_id
    for _ in range(count - 1):
        market.advance()

    first = market.first_id_after(before)

    assert before.update_id < first <= first_update <= market.update_id
    assert first == before.update_id + 1 or spec.venue is Venue.PERP


def test_the_first_ids_of_futures_events_are_irregular() -> None:
    market = SymbolMarket(SPECS[1], 1, 1000)
    distances = set()
    for _ in range(50):
        before = market.version
        market.advance()
        distances.add(market.first_id_after(before) - before.update_id)

    assert len(distances) > 5


@pytest.mark.parametrize("updates_per_diff", [1, 2, 4])
def test_about_a_third_of_the_diffs_change_one_side_only(updates_per_diff: int) -> None:
    one_sided, diffs = 0, 0
    for spec in SPECS[:8]:
        books = price_path(spec, 1)
        for start in range(0, PATH_LENGTH - updates_per_diff, updates_per_diff):
            passed = books[start : start + updates_per_diff + 1]
            bids, asks = changed_bids(passed), changed_asks(passed)
            assert bids or asks
            one_sided += not (bids and asks)
            diffs += 1

    assert 0.25 < one_sided / diffs < 0.45


def test_a_third_of_the_aggregate_trades_are_several_trades() -> None:
    market = SymbolMarket(SPECS[0], 1, 1000)
    trades = []
    for _ in range(300):
        market.advance()
        trades.append(market.next_trade())

    assert all(b.number == a.number + 1 for a, b in pairwise(trades))
    assert all(b.first_id == a.last_id + 1 for a, b in pairwise(trades))
    assert sum(trade.last_id > trade.first_id for trade in trades) == 100
    assert max(trade.last_id - trade.first_id for trade in trades) > 2


@given(spec=specs, seed=seeds, position=st.integers(min_value=0, max_value=PATH_LENGTH))
def test_the_last_price_lies_within_the_day(spec: SymbolSpec, seed: int, position: int) -> None:
    market = SymbolMarket(spec, seed, 1000)
    for _ in range(position):
        market.advance()

    last, _ = market.last_trade
    day = market.day

    assert day.low <= last <= day.high
    assert day.low <= day.value / day.steps <= day.high


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
