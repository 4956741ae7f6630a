"""What the account paid and received is added to the stored settlements."""

from collections.abc import Iterable
from decimal import Decimal

import pytest
from msgspec import Struct, structs

from chimera_s1.app.capabilities.funding.complete_amounts import (
    HISTORY_MS,
    TAIL_MS,
    UNMATCHED_MS,
    WINDOW_MS,
    CompleteAmounts,
)
from chimera_s1.app.capabilities.funding.read_income import PAGES_MAX
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.funding.coverage import AmountCoverage
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.record import (
    Conversion,
    FundingAmount,
    FundingDispute,
    FundingRecord,
    IncomePart,
)
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS
from chimera_s1.domain.ports.funding_store import FundingChange, RefusedRecord
from tests.fakes.funding_store import FakeFundingStore
from tests.fakes.income_exchange import IncomeExchange

NOW = 1_796_000_400_000 + 20 * MINUTE_MS
LAST = 1_796_000_400_000
DAYS = 30
START = NOW - DAYS * DAY_MS
ACCOUNT = "live:7"
BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")


def key_of(hours_ago: int, symbol: Symbol = BTC, rate_type: str = REGULAR) -> SettlementKey:
    return SettlementKey(LAST - hours_ago * HOUR_MS, symbol, rate_type)


class Rig(Struct):
    """An exchange with one page a thousand rows, a store with settlements, and the use case."""

    exchange: IncomeExchange
    store: FakeFundingStore
    amounts: CompleteAmounts
    disputes: list[FundingDispute]
    refused: list[RefusedRecord]

    async def settle(self, keys: Iterable[SettlementKey]) -> None:
        records = [
            FundingRecord(
                key=key, rate=Decimal(1), mark_price=None, content_hash="c", first_seen_at=1
            )
            for key in keys
        ]
        await self.store.write([FundingChange(record, announce=False) for record in records])

    def pay(
        self, key: SettlementKey, amount: str = "-1", *, asset: str = "USDT", late: int = 3
    ) -> IncomeRow:
        part = IncomePart(len(self.exchange.rows) + 1, asset, Decimal(amount))
        row = IncomeRow(key.symbol, key.rate_type, key.funding_time + late, part)
        self.exchange.rows.append(row)
        return row

    def amount(self, key: SettlementKey) -> FundingAmount | None:
        return self.store.records[key].amount

    def usdt(self, key: SettlementKey) -> Decimal | None:
        amount = self.amount(key)
        return None if amount is None else amount.amount_usdt

    async def coverage(self) -> tuple[int, int] | None:
        found = await self.store.amount_coverage(ACCOUNT)
        return None if found is None else (found.verified_from, found.verified_through)


def rig(*, page_rows: int = 1_000) -> Rig:
    exchange = IncomeExchange(now_ms=NOW, page_rows=page_rows)

    def exchange_ms() -> int:
        if not exchange.now_ms:
            raise ClockUncertainError("the clock of perp is not measured yet")
        return exchange.now_ms

    store = FakeFundingStore()
    disputes: list[FundingDispute] = []
    refused: list[RefusedRecord] = []
    amounts = CompleteAmounts(
        exchange,
        store,
        exchange_ms=exchange_ms,
        on_dispute=disputes.append,
        on_refused=refused.append,
    )
    return Rig(exchange, store, amounts, disputes, refused)


async def test_both_types_are_added_and_proven_up_to_the_tail() -> None:
    at = rig()
    keys = [key_of(8), key_of(8, BTC, SPECIAL), key_of(8, ETH), key_of(700)]
    await at.settle(keys)
    for key, amount in zip(keys, ("-1", "2", "3", "4"), strict=True):
        at.pay(key, amount)

    read = await at.amounts.complete(START, NOW)

    assert [at.usdt(key) for key in keys] == [-1, 2, 3, 4]
    assert (read.account, read.written, read.problem) == (ACCOUNT, 4, "")
    assert await at.coverage() == (START, NOW - TAIL_MS)
    assert read.verified_through == NOW - TAIL_MS
    assert read.requests == len(at.exchange.windows) == 2 * (DAYS * DAY_MS // WINDOW_MS + 1)
    assert read.sentence.startswith("4 amounts of live:7 written; proven until 20")


async def test_a_second_run_writes_nothing() -> None:
    at = rig()
    await at.settle([key_of(8)])
    at.pay(key_of(8))
    await at.amounts.complete(START, NOW)

    read = await at.amounts.complete(START, NOW)

    assert read.written == 0
    assert at.store.records[key_of(8)].version == 2


async def test_a_run_begins_where_the_proof_ends_if_that_costs_no_request() -> None:
    """After each settlement only its hour is asked for; the proof goes on with it."""
    at = rig()
    await at.settle([key_of(5), key_of(0)])
    at.pay(key_of(5))
    at.pay(key_of(0))
    await at.amounts.complete(START, key_of(6).funding_time)

    read = await at.amounts.complete(key_of(0).funding_time, NOW)

    assert read.requests == 2
    assert [at.usdt(key_of(5)), at.usdt(key_of(0))] == [-1, -1]
    assert await at.coverage() == (START, NOW - TAIL_MS)


async def test_a_proof_that_ended_long_ago_is_not_joined() -> None:
    at = rig()
    await at.amounts.complete(START, START + DAY_MS)

    read = await at.amounts.complete(NOW - DAY_MS, NOW)

    assert read.requests == 2
    assert await at.coverage() == (NOW - DAY_MS, NOW - TAIL_MS)


async def test_recent_amounts_are_announced_and_old_ones_are_not() -> None:
    """Consumers read imported history from the collection."""
    at = rig()
    keys = [key_of(8 * 24 - 1), key_of(8 * 24 + 1)]
    await at.settle(keys)
    for key in keys:
        at.pay(key)

    await at.amounts.complete(START, NOW)

    assert all(at.usdt(key) == -1 for key in keys)
    announced = await at.store.announced()
    assert [each.record.key for each in announced] == [key_of(8 * 24 - 1)]
    assert announced[0].record.version == 2


async def test_pages_are_inclusive_and_hedge_rows_may_be_on_two_of_them() -> None:
    """Rows of one settlement are written once, whole."""
    at = rig(page_rows=3)
    keys = [key_of(8, Symbol(f"C{number}USDT")) for number in range(4)]
    await at.settle(keys)
    for late in (1, 2, 9):
        for key in keys:
            at.pay(key, late=late + int(key.symbol[1]))

    read = await at.amounts.complete(NOW - DAY_MS, NOW)

    assert at.exchange.full_pages >= 3
    assert [at.usdt(key) for key in keys] == [-3] * 4
    assert {at.store.records[key].version for key in keys} == {2}
    assert not read.problem


async def test_a_window_with_too_many_pages_is_read_in_parts() -> None:
    """Memory is bounded, and nothing is lost."""
    at = rig(page_rows=10)
    keys = [key_of(hours) for hours in range(10, 160)]
    await at.settle(keys)
    for key in keys:
        for late in range(2):
            at.pay(key, late=late)

    read = await at.amounts.complete(NOW - 8 * DAY_MS, NOW)

    assert at.exchange.full_pages > PAGES_MAX
    assert [at.usdt(key) for key in keys] == [-2] * len(keys)
    assert await at.coverage() == (NOW - 8 * DAY_MS, NOW - TAIL_MS)
    assert not read.problem


async def test_pages_out_of_order_prove_nothing() -> None:
    """Which rows are left to the next page cannot be known."""
    at = rig(page_rows=4)
    at.exchange.in_order = False
    await at.settle([key_of(8), key_of(500)])
    for late in range(5):
        at.pay(key_of(8), late=late)
    at.pay(key_of(500))

    read = await at.amounts.complete(START, NOW)

    assert at.usdt(key_of(500)) == -1
    assert at.amount(key_of(8)) is None
    assert "the rows of a full page are not in the order of time" in read.problem
    coverage = await at.coverage()
    assert coverage is not None
    assert coverage[1] < key_of(8).funding_time


async def test_an_instant_that_fills_a_page_is_left_out_and_named() -> None:
    """Its settlements have no sum, because a part of it may be missing; all others have theirs."""
    at = rig(page_rows=4)
    keys = [key_of(30), key_of(9), key_of(8), key_of(7), key_of(6)]
    await at.settle(keys)
    for key in keys:
        at.pay(key)
    for _ in range(4):
        at.pay(key_of(8), late=3)

    read = await at.amounts.complete(NOW - 8 * DAY_MS, NOW)

    assert [at.usdt(key) for key in keys] == [-1, -1, None, -1, -1]
    assert f"Regular income at {key_of(8).funding_time + 3}: a page is full" in read.problem
    coverage = await at.coverage()
    assert coverage is not None
    assert key_of(9).funding_time < coverage[1] < key_of(8).funding_time


async def test_without_a_key_nothing_is_read() -> None:
    at = rig()
    at.exchange.owner = None

    read = await at.amounts.complete(START, NOW)

    assert read.account is None
    assert not read.problem
    assert read.sentence == "no exchange key, so amounts are not read"
    assert not at.exchange.windows


@pytest.mark.parametrize(
    "error", [ExchangeRefusedError("-2015 Invalid API-key"), ExchangeUnavailableError("503")]
)
async def test_income_that_cannot_be_read_is_a_problem_and_no_error(
    error: ExchangeRefusedError | ExchangeUnavailableError,
) -> None:
    """Rates do without it; the next run goes on."""
    at = rig()
    await at.settle([key_of(8)])
    at.pay(key_of(8))
    at.exchange.error = error

    read = await at.amounts.complete(START, NOW)

    assert read.problem == f"income cannot be read: {error}"
    assert await at.coverage() is None
    at.exchange.error = None
    assert not (await at.amounts.complete(START, NOW)).problem
    assert at.usdt(key_of(8)) == -1


async def test_what_was_read_before_an_outage_is_stored_and_proven() -> None:
    at = rig()
    keys = [key_of(8), key_of(29 * 24)]
    await at.settle(keys)
    for key in keys:
        at.pay(key)

    def fail_on_third_page() -> None:
        if len(at.exchange.windows) == 3:
            at.exchange.error = ExchangeUnavailableError("503")

    at.exchange.before_page = fail_on_third_page
    read = await at.amounts.complete(START, NOW)

    assert [at.usdt(key) for key in keys] == [None, -1]
    assert await at.coverage() == (START, START + WINDOW_MS - 1)
    assert read.problem


async def test_the_exchange_shows_three_months() -> None:
    """What is older stays without an amount, and is not said to be proven."""
    at = rig()
    read = await at.amounts.complete(NOW - 400 * DAY_MS, NOW + DAY_MS)

    assert not read.problem
    assert await at.coverage() == (NOW - HISTORY_MS, NOW - TAIL_MS)


async def test_the_exchange_s_time_must_be_known() -> None:
    at = rig()
    at.exchange.now_ms = 0

    read = await at.amounts.complete(START, NOW)

    assert "the clock of perp is not measured yet" in read.problem
    assert not at.exchange.windows


async def test_a_row_waits_a_day_for_the_rate_of_its_settlement() -> None:
    """Then it is named; until then the amounts are not proven beyond it."""
    at = rig()
    old, young = key_of(40, ETH), key_of(5)
    at.pay(old)
    at.pay(young)

    read = await at.amounts.complete(START, NOW)

    assert len(read.unmatched) == 1
    assert read.unmatched[0].startswith("ETHUSDT Regular 20")
    assert "income without a rate: ETHUSDT" in read.problem
    coverage = await at.coverage()
    assert coverage is not None
    assert old.funding_time < coverage[1] < young.funding_time
    assert old.funding_time < NOW - UNMATCHED_MS < young.funding_time

    await at.settle([old, young])
    read = await at.amounts.complete(START, NOW)

    assert [at.usdt(old), at.usdt(young)] == [-1, -1]
    assert not read.problem
    assert await at.coverage() == (START, NOW - TAIL_MS)


async def test_a_changed_and_a_vanished_row_are_disputed_once() -> None:
    """What is stored stays, and the amounts count as proven: the exchange has said both."""
    at = rig()
    keys = [key_of(8), key_of(9)]
    await at.settle(keys)
    changed, vanished = (at.pay(key) for key in keys)
    await at.amounts.complete(START, NOW)
    part = structs.replace(changed.part, amount=Decimal(-2))
    at.exchange.rows = [structs.replace(changed, part=part)]

    first = await at.amounts.complete(START, NOW)
    second = await at.amounts.complete(START, NOW)

    assert [(each.key, each.stored, each.found) for each in at.disputes] == [
        (keys[1], "-1 USDT (2)", ""),
        (keys[0], "-1 USDT (1)", "-2 USDT (1)"),
    ]
    assert (first.disputed, second.disputed) == (2, 0)
    assert [at.usdt(key) for key in keys] == [-1, -1]
    assert {at.store.records[key].version for key in keys} == {2}
    assert vanished not in at.exchange.rows


async def test_a_history_that_is_short_for_a_moment_disputes_nothing() -> None:
    """What contradicts a stored amount is read twice; what was missing meanwhile is not proven."""
    at = rig()
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8))
    await at.amounts.complete(START, NOW)
    before = await at.coverage()
    at.pay(key_of(9))
    rows, at.exchange.rows = at.exchange.rows, []
    reads = len(at.exchange.windows)

    def recover() -> None:
        if len(at.exchange.windows) == reads + 2:  # each type once
            at.exchange.rows = rows

    at.exchange.before_page = recover
    read = await at.amounts.complete(NOW - DAY_MS, NOW)

    assert at.exchange.rows is rows
    assert not at.disputes
    assert read.verified_through is None
    assert await at.coverage() == before

    at.exchange.before_page = lambda: None
    await at.amounts.complete(START, NOW)
    assert at.usdt(key_of(9)) == -1


async def test_a_recent_row_may_be_missing_for_a_while() -> None:
    """A replica of the exchange that is behind."""
    at = rig()
    await at.settle([key_of(0)])
    row = at.pay(key_of(0))
    await at.amounts.complete(START, NOW)
    at.exchange.rows = []

    await at.amounts.complete(START, NOW)
    assert not at.disputes

    at.exchange.now_ms = NOW + TAIL_MS
    await at.amounts.complete(START, NOW + TAIL_MS)
    assert [each.key for each in at.disputes] == [key_of(0)]
    assert at.usdt(key_of(0)) == row.part.amount


async def test_a_row_that_is_published_late_is_a_new_version() -> None:
    at = rig()
    await at.settle([key_of(8)])
    at.pay(key_of(8), "-1")
    await at.amounts.complete(START, NOW)
    at.pay(key_of(8), "3")

    await at.amounts.complete(START, NOW)

    assert at.usdt(key_of(8)) == 2
    assert at.store.records[key_of(8)].version == 3
    assert not at.disputes


async def test_a_price_is_asked_for_once_for_each_asset_and_minute() -> None:
    at = rig()
    at.exchange.prices = {"BNB": Decimal("612.5"), "USDC": Decimal("0.9998")}
    keys = [key_of(8), key_of(8, ETH), key_of(9)]
    await at.settle(keys)
    for key in keys:
        at.pay(key, "-2", asset="BNB")
        at.pay(key, "1", asset="USDC")

    read = await at.amounts.complete(START, NOW)

    assert [at.usdt(key) for key in keys] == [Decimal("-1224.0002")] * 3
    assert sorted(at.exchange.priced) == sorted(
        (asset, key_of(hours).funding_time) for asset in ("BNB", "USDC") for hours in (8, 9)
    )
    assert read.requests == len(at.exchange.windows) + 4
    amount = at.amount(key_of(9))
    assert amount is not None
    assert amount.conversions[0] == Conversion("BNB", Decimal("612.5"), key_of(9).funding_time)


async def test_an_asset_without_a_market_keeps_its_amount() -> None:
    """BNFCR: asked for once a run, and completed when a market is there."""
    at = rig()
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8), "-2", asset="BNFCR")
    at.pay(key_of(9), "-3", asset="BNFCR")

    read = await at.amounts.complete(START, NOW)

    assert len(at.exchange.priced) == 1
    assert read.without_price == {"BNFCR"}
    assert not read.problem
    assert "no USDT price of BNFCR" in read.sentence
    amount = at.amount(key_of(8))
    assert amount is not None
    assert amount.parts == (IncomePart(1, "BNFCR", Decimal(-2)),)
    assert amount.amount_usdt is None
    assert await at.coverage() == (START, NOW - TAIL_MS)

    at.exchange.prices = {"BNFCR": Decimal("1.1")}
    await at.amounts.complete(START, NOW)

    assert at.usdt(key_of(8)) == Decimal("-2.2")
    assert at.store.records[key_of(8)].version == 3


async def test_a_price_that_cannot_be_read_does_not_cost_the_amount() -> None:
    """The spot host is another one; a minute that lasts has no price yet either."""
    at = rig()
    at.exchange.price_error = ExchangeUnavailableError("spot is away")
    await at.settle([key_of(8), key_of(9), key_of(10)])
    at.pay(key_of(8), asset="BNB")
    at.pay(key_of(9), asset="BNB")
    at.pay(key_of(10))

    read = await at.amounts.complete(START, NOW)

    assert len(at.exchange.priced) == 1
    assert read.problem == "the price of BNB cannot be read: spot is away"
    assert [at.usdt(key_of(hours)) for hours in (8, 9, 10)] == [None, None, -1]
    assert read.written == 3

    at.exchange.price_error = None
    at.exchange.prices = {"BNB": Decimal(2)}
    at.exchange.now_ms = key_of(0).funding_time + 40_000
    await at.settle([key_of(0)])
    at.pay(key_of(0), asset="BNB")
    await at.amounts.complete(START, NOW)
    assert [at.usdt(key_of(hours)) for hours in (0, 8, 9)] == [None, -2, -2]

    at.exchange.now_ms += 20_000
    await at.amounts.complete(START, NOW)
    assert at.usdt(key_of(0)) == -2


async def test_a_minute_without_a_candle_leaves_the_others_their_price() -> None:
    at = rig()
    at.exchange.prices = {"BNB": Decimal(0)}
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8), asset="BNB")
    at.pay(key_of(9), asset="BNB")

    read = await at.amounts.complete(START, NOW)

    assert len(at.exchange.priced) == 2
    assert not read.without_price
    assert at.usdt(key_of(8)) is None


async def test_a_row_that_cannot_be_read_costs_its_contract_only() -> None:
    """A sum without it would be wrong. Nothing is proven until it can be read."""
    at = rig()
    await at.settle([key_of(8), key_of(8, ETH)])
    at.pay(key_of(8))
    at.pay(key_of(8, ETH))
    at.exchange.unusable = {key_of(8).funding_time: BTC}

    read = await at.amounts.complete(NOW - DAY_MS, NOW)

    assert [at.usdt(key_of(8)), at.usdt(key_of(8, ETH))] == [None, -1]
    assert read.problem == "rows that cannot be read: BTCUSDT: no decimal number"
    assert await at.coverage() is None

    at.exchange.unusable = {}
    await at.amounts.complete(NOW - DAY_MS, NOW)
    assert at.usdt(key_of(8)) == -1


async def test_a_row_without_a_contract_vanishes_no_other() -> None:
    """It may be of any contract, so no row is called missing."""
    at = rig()
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8))
    await at.amounts.complete(NOW - DAY_MS, NOW)
    at.exchange.rows = []
    at.pay(key_of(9))
    at.exchange.unusable = {key_of(8).funding_time: None}

    read = await at.amounts.complete(NOW - DAY_MS, NOW)

    assert not at.disputes
    assert at.usdt(key_of(9)) == -1
    assert read.unusable == ["None: no decimal number"]


async def test_the_amounts_of_another_account_are_kept() -> None:
    """An installation that was given the key of a second account says so."""
    at = rig()
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8))
    await at.amounts.complete(START, NOW)
    at.exchange.owner = "live:8"
    at.exchange.rows = []
    at.pay(key_of(8), "5")
    at.pay(key_of(9), "6")

    read = await at.amounts.complete(START, NOW)

    assert read.other_accounts == {ACCOUNT}
    assert read.problem == ("amounts of live:7 are kept; a record has the amount of one account")
    assert [at.usdt(key_of(8)), at.usdt(key_of(9))] == [-1, 6]
    assert not at.disputes
    assert await at.store.amount_coverage("live:8") == AmountCoverage(
        account="live:8", verified_from=START, verified_through=NOW - TAIL_MS
    )


async def test_a_key_that_is_replaced_between_two_pages_ends_the_run() -> None:
    """Rows of two accounts are never mixed."""
    at = rig(page_rows=2)
    await at.settle([key_of(8)])
    for late in range(3):
        at.pay(key_of(8), late=late)

    def replace_key() -> None:
        if at.exchange.full_pages:
            at.exchange.owner = "live:8"

    at.exchange.before_page = replace_key
    read = await at.amounts.complete(NOW - DAY_MS, NOW)

    assert "the exchange key is of live:8 now" in read.problem
    assert at.amount(key_of(8)) is None
    assert await at.coverage() is None


async def test_what_the_store_refuses_is_given_away_and_not_proven() -> None:
    at = rig()
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8))
    at.pay(key_of(9))
    at.store.refused = {key_of(8)}

    read = await at.amounts.complete(START, NOW)

    assert [each.change.record.key for each in at.refused] == [key_of(8)]
    assert read.problem == "1 record refused by the store"
    assert at.usdt(key_of(9)) == -1
    assert await at.coverage() == (START, key_of(8).funding_time - 1)


async def test_a_version_that_another_instance_writes_is_read_and_followed() -> None:
    """It completes the mark price, between our read and our write."""
    at = rig()
    await at.settle([key_of(8)])
    at.pay(key_of(8), asset="BNB")
    at.exchange.prices = {"BNB": Decimal(2)}
    ask = at.exchange.usdt_price

    async def write_first(asset: str, time: int) -> object:
        record = at.store.records[key_of(8)]
        other = structs.replace(record, mark_price=Decimal(9), version=record.version + 1)
        await at.store.write([FundingChange(other, announce=False)])
        return await ask(asset, time)

    at.exchange.usdt_price = write_first  # type: ignore[method-assign,assignment]
    read = await at.amounts.complete(START, NOW)

    record = at.store.records[key_of(8)]
    assert (record.version, record.mark_price) == (3, Decimal(9))
    assert at.usdt(key_of(8)) == -2
    assert not read.problem
    assert await at.coverage() == (START, NOW - TAIL_MS)


async def test_a_store_that_fails_in_the_middle_is_an_error_and_the_next_run_goes_on() -> None:
    at = rig()
    await at.settle([key_of(8), key_of(9)])
    at.pay(key_of(8))
    at.pay(key_of(9))
    at.store.fails_after = 1

    with pytest.raises(StoreUnavailableError):
        await at.amounts.complete(START, NOW)
    read = await at.amounts.complete(START, NOW)

    assert [at.usdt(key_of(8)), at.usdt(key_of(9))] == [-1, -1]
    assert {at.store.records[key].version for key in (key_of(8), key_of(9))} == {2}
    assert read.written == 1
