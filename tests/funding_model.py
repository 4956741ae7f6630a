"""A seeded exchange history, and runs of the real use case over it with faults.

Chance comes from the seed, so a failing seed fails again. What the model assumes of the exchange is
what `docs/funding-history.md` says that the proof assumes.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import anyio
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates
from chimera_s1.domain.errors import ExchangeUnavailableError, StoreUnavailableError
from chimera_s1.domain.funding.coverage import FundingGap, GapKind
from chimera_s1.domain.funding.gaps import GapSearch
from chimera_s1.domain.funding.history_pages import HistoryPageError
from chimera_s1.domain.funding.history_proof import PUBLICATION_TAIL_MS
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import (
    INTERVALS_H,
    ContractFacts,
    full_hour,
    next_multiple,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS
from chimera_s1.domain.ports.funding_store import RefusedRecord
from tests.fakes.funding_exchange import FakeFundingExchange, PublishedRow
from tests.fakes.funding_store import FakeFundingStore

NOW: Final = 1_796_000_000_000 // HOUR_MS * HOUR_MS
MINUTE_MS: Final = 60_000
DELAY_MAX_MS: Final = 90 * MINUTE_MS
NAMED_AFTER_MS: Final = (2 * INTERVALS_H[0] + 1) * HOUR_MS
"""What is published and not stored is in a gap by then, also if nothing is read any more."""

APART_MS: Final = 10 * MINUTE_MS
"""Between two publications of one contract: longer than a run."""

SYMBOLS: Final = 50

CHANGES: Final = ("rate changed", "mark price changed", "row moved", "row withdrawn")
"""Of a row that is stored."""

FAULTS: Final = (
    "page boundary",
    "one time fills a page",
    "interval change",
    "listing",
    "delisting",
    "contract without facts",
    "outage of the exchange",
    "outage of the store",
    "kill",
    "record refused by the store",
    "row that cannot be read",
    "reply cut short",
    "late publication",
    "published during a run",
    "row twice",
    "special row",
    "time off the hour",
    "mark price known later",
    "row withheld",
    "gap before the end",
    "reads after a settlement",
    "read of one contract",
    "read day by day",
    *CHANGES,
)


class Setup(Struct, frozen=True):
    """What an example draws; the rest comes from the seed.

    Attributes:
        change: The fault that changes a stored row, or empty.
    """

    seed: int
    page_size: int
    hours: int
    off_grid: bool
    withhold: bool
    change: str
    runs: int


class Contract(Struct, frozen=True, kw_only=True):
    """Attributes:
    hours: Of its settlements.
    intervals: In force from these times on.
    is_known: The registry has it.
    """

    symbol: Symbol
    hours: tuple[int, ...]
    intervals: tuple[tuple[int, int], ...]
    listed_at: int
    delisted_at: int | None
    is_known: bool

    def facts(self, now_ms: int) -> ContractFacts:
        trades_at = now_ms if self.delisted_at is None else min(now_ms, self.delisted_at)
        in_force = [hours for since, hours in self.intervals if since <= trades_at]
        return ContractFacts(
            expects_from=self.listed_at,
            expects_until=self.delisted_at,
            interval_h=in_force[-1] if in_force else self.intervals[0][1],
        )


class CountedStore(FakeFundingStore):
    """A store whose calls are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.before_call: Callable[[], None] = lambda: None

    async def _check(self) -> None:
        self.before_call()
        await super()._check()


class FundingModel:
    """One example: `run` returns how often each fault has fired."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.fired: Counter[str] = Counter()
        self._chance = random.Random(setup.seed)
        self.start = NOW - setup.hours * HOUR_MS
        self._contracts = [self._contract(number) for number in range(SYMBOLS)]
        self._rows = [row for each in self._contracts for row in self._published(each)]
        self._withheld = self._withhold() if setup.withhold else None
        self.store = CountedStore()
        self.exchange = FakeFundingExchange(
            [*self._rows, *self._repeats()], page_size=setup.page_size, seed=setup.seed
        )
        self.exchange.read_ms = 2_000 if setup.page_size > SYMBOLS * 2 else 300
        self.exchange.cut_share = 0.1
        self.reported: list[FundingDispute] = []
        self._unknown_prices = self._hide_prices()
        self._changed: Settlement | None = None
        self._began_at = 0

    async def run(self) -> Counter[str]:
        for left in range(self.setup.runs, 0, -1):
            self._move_clock(self._about(NOW - left * self._chance.randint(1, 4) * HOUR_MS))
            await self._faulty_run()
            await self._check_proof()
        self._move_clock(NOW - 10 * MINUTE_MS)
        await self._whole_run()
        self._check_records()
        self._change()
        self._move_clock(self._about(NOW + self._chance.randint(0, 2) * HOUR_MS))
        await self._whole_run()
        await self._check_proof()
        self._check_records()
        assert await self.gaps() == self._expected_gaps()
        self._check_change()
        await self._whole_run()
        self._check_change()
        self.fired["reply cut short"] += self.exchange.cuts
        self.fired["page boundary"] += self.exchange.full_pages
        self.fired["one time fills a page"] += self.exchange.one_by_one
        assert self.exchange.full_pages, "no page of this example was full"
        return self.fired

    async def gaps(self) -> tuple[FundingGap, ...]:
        search = GapSearch(
            start=self.start,
            exchange_ms=self.exchange.now_ms,
            coverage=await self.store.coverage(),
            contracts=self._facts(),
        )
        search.take(
            await self.store.between(search.first_record, self.exchange.now_ms, limit=100_000)
        )
        return search.conclude()

    # The history

    def _contract(self, number: int) -> Contract:
        begin, chance = self.start - 24 * HOUR_MS, self._chance
        listed_at, delisted_at = begin, None
        if number % 10 == 8:
            listed_at = begin = self.start + chance.randrange(self.setup.hours) * HOUR_MS + 1
            self.fired["listing"] += 1
        if number % 10 == 9:
            delisted_at = self.start + chance.randrange(self.setup.hours) * HOUR_MS
            self.fired["delisting"] += 1
        is_known = number % 10 != 7
        self.fired["contract without facts"] += not is_known
        intervals = [(begin, chance.choice(INTERVALS_H if number % 2 else (8,)))]
        hours = [next_multiple(begin - 1, intervals[0][1])]
        left = chance.randint(3, 12)
        while hours[-1] < NOW + 12 * HOUR_MS:
            left -= 1
            last, interval = hours[-1], intervals[-1][1]
            if left <= 0 and number % 2:
                left = chance.randint(3, 12)
                changed_at = last + chance.randrange(interval * HOUR_MS)
                interval = chance.choice(INTERVALS_H)
                intervals.append((changed_at, interval))
                self.fired["interval change"] += 1
                last = changed_at
            hours.append(next_multiple(last, interval))
        until = delisted_at or hours[-1]
        return Contract(
            symbol=Symbol(f"C{number:02}USDT"),
            hours=tuple(hour for hour in hours if hour < until),
            intervals=tuple(intervals),
            listed_at=listed_at,
            delisted_at=delisted_at,
            is_known=is_known,
        )

    def _published(self, contract: Contract) -> Iterable[PublishedRow]:
        """In order; only a settlement that the facts make one expect is later than the tail."""
        before = 0
        for hour in contract.hours:
            time = hour + (self._chance.randrange(1, 20) if self._is_off_grid(contract) else 0)
            lag = self._lag(is_expected=contract.is_known)
            before = max(before + APART_MS, time + lag)
            yield PublishedRow(self._row(time, contract.symbol, REGULAR), before)
            if self._chance.random() < 0.02:
                self.fired["special row"] += 1
                special = self._row(time, contract.symbol, SPECIAL)
                yield PublishedRow(special, time + self._lag(is_expected=False))

    def _is_off_grid(self, contract: Contract) -> bool:
        """Now and then also a contract without facts, or one that fills pages could hide it."""
        off_grid = (self.setup.off_grid or not contract.is_known) and self._chance.random() < 0.5
        self.fired["time off the hour"] += off_grid
        return off_grid

    def _lag(self, *, is_expected: bool) -> int:
        if is_expected and self._chance.random() < 0.1:
            self.fired["late publication"] += 1
            return self._chance.randrange(DELAY_MAX_MS)
        return self._chance.randrange(PUBLICATION_TAIL_MS // 2)

    def _row(self, time: int, symbol: Symbol, rate_type: str) -> Settlement:
        rate = Decimal(self._chance.randint(-30_000, 30_000)).scaleb(-8)
        price = Decimal(self._chance.randint(1, 10**9)).scaleb(-4)
        return Settlement(SettlementKey(time, symbol, rate_type), rate, price)

    def _repeats(self) -> list[PublishedRow]:
        repeated = [row for row in self._rows if self._chance.random() < 0.01]
        self.fired["row twice"] += len(repeated)
        return repeated

    def _hide_prices(self) -> list[PublishedRow]:
        """Mark prices that become known with the change."""
        hidden = self._chance.sample(self._old_rows(), 5)
        for each in hidden:
            self._replace(each, replace(each.row, mark_price=None))
        return hidden

    def _old_rows(self) -> list[PublishedRow]:
        """Once in the history, inside the window, and published well before the last runs."""
        return [
            each
            for each in self._rows
            if self.start <= each.row.key.funding_time < NOW - 12 * HOUR_MS
            and each.row.key.rate_type == REGULAR
        ]

    def _replace(self, each: PublishedRow, row: Settlement) -> None:
        self.exchange.remove(each.row.key)
        self.exchange.add(PublishedRow(row, each.published_at))

    def _withhold(self) -> int | None:
        """Take a row out of the history, where the spacing on both sides shows it."""
        for contract in self._chance.sample(self._contracts, SYMBOLS):
            hours = contract.hours
            for at in range(3, len(hours) - 3):
                around = {hours[k + 1] - hours[k] for k in range(at - 3, at + 3)}
                inside = self.start < hours[at - 1] and hours[at + 3] < NOW - 3 * HOUR_MS
                if len(around) == 1 and inside:
                    self._take_out(contract.symbol, hours[at])
                    self._gap = FundingGap(
                        symbol=contract.symbol,
                        kind=GapKind.NOT_PUBLISHED,
                        start=hours[at],
                        end=hours[at],
                    )
                    self.fired["row withheld"] += 1
                    return hours[at]
        return None

    def _take_out(self, symbol: Symbol, hour: int) -> None:
        self._rows = [
            each
            for each in self._rows
            if (each.row.key.symbol, full_hour(each.row.key.funding_time)) != (symbol, hour)
        ]

    def _expected_gaps(self) -> tuple[FundingGap, ...]:
        return (self._gap,) if self._withheld is not None else ()

    # Runs

    def _move_clock(self, to_ms: int) -> None:
        self.exchange.now_ms = max(self.exchange.now_ms, to_ms)

    def _about(self, hour: int) -> int:
        """Soon after *hour*, while its settlements are being published, or some time later."""
        return hour + self._chance.choice([7, 50]) * self._chance.randrange(MINUTE_MS)

    def _facts(self) -> dict[Symbol, ContractFacts]:
        now_ms = self.exchange.now_ms
        return {
            each.symbol: each.facts(now_ms)
            for each in self._contracts
            if each.is_known and each.listed_at <= now_ms
        }

    def _use_case(self) -> CompleteRates:
        return CompleteRates(
            self.exchange,
            self.store,
            exchange_ms=lambda: self.exchange.now_ms,
            contracts=self._facts,
            last_estimate=lambda *_: "",
            on_dispute=self.reported.append,
            on_refused=self._refused,
            part_ms=self._chance.choice([6, 24, 72]) * HOUR_MS,
        )

    def _refused(self, refused: RefusedRecord) -> None:
        assert refused.change.record.key in self.store.refused
        self.fired["record refused by the store"] += 1

    async def _whole_run(self) -> None:
        """Until one ends."""
        try:
            self._began_at = self.exchange.now_ms
            await self._use_case().complete(self.start, self._began_at)
        except HistoryPageError:
            assert self.exchange.cuts
            await self._whole_run()
        published = [
            *map(len, map(self.exchange.published, (self._began_at, self.exchange.now_ms)))
        ]
        self.fired["published during a run"] += published[1] - published[0]

    async def _faulty_run(self) -> None:
        calls_left = self._chance.randint(1, 60)
        fault = self._chance.choice(["outage of the exchange", "outage of the store", "kill", ""])
        if not fault:
            self._spoil_rows()
        with anyio.CancelScope() as scope:

            def before_call() -> None:
                nonlocal calls_left
                calls_left -= 1
                if calls_left == 0 and fault:
                    self._strike(fault, scope)

            self.exchange.before_call = self.store.before_call = before_call
            try:
                await self._some_run()
            except HistoryPageError:
                assert self.exchange.cuts
            except ExchangeUnavailableError:
                assert fault == "outage of the exchange"
                self.fired[fault] += 1
            except StoreUnavailableError:
                assert fault == "outage of the store"
                self.fired[fault] += 1
        self.fired["kill"] += scope.cancelled_caught
        self.exchange.before_call = self.store.before_call = lambda: None
        self.exchange.outages, self.store.unavailable = 0, ""
        self.fired["row that cannot be read"] += self.exchange.unread
        self.exchange.unread = 0
        self.exchange.unreadable, self.store.refused = set(), set()

    def _spoil_rows(self) -> None:
        """Some contracts have rows that cannot be read, or that the store refuses."""
        rows = self._chance.sample(self._rows, 20)
        self.store.refused = {each.row.key for each in rows[:10]}
        self.exchange.unreadable = {each.row.key.symbol for each in rows[10:13]}

    def _strike(self, fault: str, scope: anyio.CancelScope) -> None:
        if fault == "outage of the exchange":
            self.exchange.outages = 1
        elif fault == "outage of the store":
            self.store.unavailable = "the store is away in this test"
        else:
            scope.cancel()

    async def _some_run(self) -> None:
        now_ms, use_case = self.exchange.now_ms, self._use_case()
        match self._chance.randrange(5):
            case 0:
                self.fired["reads after a settlement"] += 1
                for _ in range(6):
                    await use_case.complete(now_ms - HOUR_MS, self.exchange.now_ms)
            case 1:
                self.fired["read of one contract"] += 1
                symbol = self._chance.choice(self._contracts).symbol
                await use_case.complete(self.start, now_ms, symbol)
            case 2:
                self.fired["read day by day"] += 1
                for end in range(now_ms, self.start, -24 * HOUR_MS):
                    await use_case.complete(max(self.start, end - 24 * HOUR_MS), end)
            case _:
                await use_case.complete(self.start, now_ms)

    # Changes of stored rows

    def _change(self) -> None:
        for each in self._unknown_prices:
            self._replace(each, each.row)
            self.fired["mark price known later"] += 1
        names = {each.row.key for each in self._unknown_prices}
        candidates = [each for each in self._old_rows() if each.row.key not in names]
        if not self.setup.change:
            return
        if self.setup.change == "rate changed":
            candidates = self._unknown_prices  # what is completed must not be overwritten
        each = self._chance.choice(candidates)
        self._changed, row = each.row, each.row
        self.fired[self.setup.change] += 1
        match self.setup.change:
            case "rate changed":
                self._replace(each, replace(row, rate=row.rate + 1))
            case "mark price changed":
                self._replace(each, replace(row, mark_price=Decimal(7)))
            case "row moved":
                moved = row.key._replace(funding_time=row.key.funding_time + 31)
                self._replace(each, replace(row, key=moved))
            case _:
                self.exchange.remove(row.key)

    def _check_change(self) -> None:
        """Disputed once, and kept as it was."""
        if self._changed is None:
            assert not self.reported
            return
        field = {"rate changed": "rate", "mark price changed": "mark_price"}
        [dispute] = self.reported
        assert dispute.key == self._changed.key
        assert dispute.field == field.get(self.setup.change, "funding_time")
        kept = _said(self.store.records[self._changed.key])
        assert (kept.rate, kept.mark_price) == (self._changed.rate, self._changed.mark_price)

    # Checks

    async def _check_proof(self) -> None:
        """What is said to be proven is stored, also what will only be published later; and what is
        not stored is in a gap.
        """
        coverage = await self.store.coverage()
        gaps = await self.gaps()
        published, facts = self.exchange.published(self.exchange.now_ms), self._facts()
        for row in published:
            time, symbol, _ = row.key
            is_due = self.start <= time <= self.exchange.now_ms - NAMED_AFTER_MS
            if is_due and symbol in facts and not self._is_stored(row.key):
                self.fired["gap before the end"] += 1
                assert any(_names(gap, row.key) for gap in gaps), row
        for each in self._rows:
            time, symbol, _ = each.row.key
            span = coverage.get(symbol)
            if span is not None and span.verified_from <= time <= span.verified_through:
                assert each.row.key in self.store.records, (each, span, self.exchange.now_ms)

    def _is_stored(self, key: SettlementKey) -> bool:
        """Also at the time that it had before it moved."""
        return key in self.store.records or (
            self._changed is not None and key.symbol == self._changed.key.symbol
        )

    def _check_records(self) -> None:
        """The records are what was published, and nothing else."""
        published = {
            row.key: row
            for row in self.exchange.published(self._began_at)
            if row.key.funding_time >= self.start
        }
        stored = {
            key: _said(record)
            for key, record in self.store.records.items()
            if key.funding_time >= self.start
        }
        if self._changed is not None:
            changed = self._changed.key
            stored = {key: row for key, row in stored.items() if key != changed}
            published = {
                key: row
                for key, row in published.items()
                if key.symbol != changed.symbol
                or full_hour(key.funding_time) != full_hour(changed.funding_time)
            }
        later = {row.key: row for row in self.exchange.published(self.exchange.now_ms)}
        assert published.items() <= stored.items()
        assert stored.keys() <= later.keys()


def _names(gap: FundingGap, key: SettlementKey) -> bool:
    """One that is not published is named by full hours, from the first that settles at any interval
    on.
    """
    if gap.kind is GapKind.NOT_VERIFIED:
        return gap.symbol == key.symbol and gap.start <= key.funding_time <= gap.end
    first = gap.start - INTERVALS_H[0] * HOUR_MS
    return gap.symbol == key.symbol and first < full_hour(key.funding_time) <= gap.end


def _said(record: FundingRecord) -> Settlement:
    return Settlement(record.key, record.rate, record.mark_price)
