"""Whatever the exchange's income looks like, the stored amounts are its sums.

Settlements of several contracts with intervals of 1 to 8 h; none to three rows each, some ms off
the hour, in three assets, some without a number, some repeated; pages that end anywhere; rows that
are published late; outages, pages that are empty for a moment, and a store that fails in the middle
of a write. Then rows change: what is stored stays, and each change is disputed.
"""

import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from chimera_s1.app.capabilities.funding.complete_amounts import TAIL_MS, CompleteAmounts
from chimera_s1.domain.errors import ExchangeUnavailableError, StoreUnavailableError
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord, IncomePart
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from chimera_s1.domain.ports.funding_store import FundingChange
from tests.fakes.funding_store import FakeFundingStore
from tests.fakes.income_exchange import IncomeExchange
from tests.virtual_time import run_on_virtual_time

LAST = 1_796_000_400_000
NOW = LAST + 2 * HOUR_MS
START = NOW - 10 * DAY_MS
PRICES = {"USDT": Decimal(1), "BNB": Decimal("612.53")}


class Shape(Struct, frozen=True):
    """Attributes:
    settlements: Of each contract.
    pages: How many pages all rows fill, about.
    late: Rows in a hundred that the first run does not find.
    outage: The page at which the exchange goes away, and the change at which the store does.
    empty: The page that is empty for a moment, once all is stored.
    changed: Rows that change at the end.
    """

    seed: int
    contracts: int
    settlements: int
    pages: int
    late: int
    outage: int
    empty: int
    changed: int


SHAPES = st.builds(
    Shape,
    seed=st.integers(0, 2**32),
    contracts=st.integers(1, 6),
    settlements=st.integers(1, 12),
    pages=st.integers(2, 15),
    late=st.integers(0, 60),
    outage=st.integers(1, 12),
    empty=st.integers(1, 6),
    changed=st.integers(0, 4),
)


class World(Struct):
    """What the exchange will have said of each settlement."""

    rows: dict[SettlementKey, list[IncomeRow]]

    @property
    def all_rows(self) -> list[IncomeRow]:
        return [row for rows in self.rows.values() for row in rows]

    def expected(self, key: SettlementKey) -> tuple[Counter[IncomePart], Fraction | None]:
        """A row with a number counts once, and the sum is of exact fractions."""
        parts = [row.part for row in self.rows[key]]
        numbered = {part for part in parts if part.tran_id}
        counted = [*numbered, *(part for part in parts if not part.tran_id)]
        if any(part.asset not in PRICES for part in counted):
            return Counter(counted), None
        terms = (Fraction(part.amount) * Fraction(PRICES[part.asset]) for part in counted)
        return Counter(counted), sum(terms, Fraction(0))


def draw_world(shape: Shape, chance: random.Random) -> World:
    world, number = World({}), 0
    for contract in range(shape.contracts):
        interval_h = chance.choice((1, 2, 4, 8))
        for at in range(shape.settlements):
            time = LAST - at * interval_h * HOUR_MS + chance.randrange(20)
            rate_type = chance.choice((REGULAR, REGULAR, SPECIAL))
            key = SettlementKey(time, Symbol(f"C{contract}USDT"), rate_type)
            rows = world.rows.setdefault(key, [])
            for _ in range(chance.randrange(4)):
                number += 1
                amount = Decimal(chance.randrange(-(10**12), 10**12)) / 10**8
                asset = chance.choice(("USDT", "USDT", "BNB", "BNFCR"))
                part = IncomePart(number if chance.random() < 0.9 else 0, asset, amount)
                row = IncomeRow(key.symbol, rate_type, time + chance.randrange(-50, 50), part)
                rows += [row] * (2 if part.tran_id and chance.random() < 0.1 else 1)
    return world


FAULTS = (
    "page boundary",
    "late row",
    "row twice",
    "row without a number",
    "settlement with several rows",
    "asset without a price",
    "outage of the exchange",
    "outage of the store",
    "empty page",
    "row changed",
)


class Rig(Struct):
    """Attributes: fired: How often each fault was seen."""

    exchange: IncomeExchange
    store: FakeFundingStore
    amounts: CompleteAmounts
    disputes: list[FundingDispute]
    fired: Counter[str]

    async def complete_through_failures(self) -> None:
        """Until a run has no problem. Each failure happens once, so three runs are enough."""
        for _ in range(3):
            try:
                read = await self.amounts.complete(START, NOW)
            except StoreUnavailableError:
                self.fired["outage of the store"] += 1
                continue
            if not read.problem:
                assert read.verified_through == NOW - TAIL_MS
                return
            self.exchange.error = None
            self.fired["outage of the exchange"] += 1
        raise AssertionError("no run was complete")


def build(world: World, shape: Shape) -> Rig:
    busiest = Counter((row.time, row.rate_type) for row in world.all_rows)
    at_once = max(busiest.values(), default=0)
    page_rows = max(at_once + 1, len(world.all_rows) // shape.pages)
    exchange = IncomeExchange(now_ms=NOW, page_rows=page_rows, seed=shape.seed)
    exchange.prices = {asset: price for asset, price in PRICES.items() if asset != "USDT"}
    store, disputes = FakeFundingStore(), list[FundingDispute]()
    amounts = CompleteAmounts(
        exchange,
        store,
        exchange_ms=lambda: NOW,
        on_dispute=disputes.append,
        on_refused=lambda _: None,
    )
    return Rig(exchange, store, amounts, disputes, count_rows(world))


def count_rows(world: World) -> Counter[str]:
    fired: Counter[str] = Counter()
    for rows in world.rows.values():
        parts = [row.part for row in rows]
        fired["settlement with several rows"] += len(set(parts)) > 1
        fired["row twice"] += len(parts) - len(set(parts))
        fired["row without a number"] += sum(not part.tran_id for part in parts)
        fired["asset without a price"] += sum(part.asset not in PRICES for part in parts)
    return fired


async def check(shape: Shape) -> Counter[str]:
    """How often each fault was seen."""
    chance = random.Random(shape.seed)
    world = draw_world(shape, chance)
    rig = build(world, shape)
    records = [
        FundingRecord(key=key, rate=Decimal(1), mark_price=None, content_hash="c", first_seen_at=1)
        for key in world.rows
    ]
    await rig.store.write([FundingChange(record, announce=False) for record in records])

    rig.exchange.rows = [row for row in world.all_rows if chance.randrange(100) >= shape.late]
    rig.fired["late row"] += len(world.all_rows) - len(rig.exchange.rows)

    def go_away() -> None:
        if len(rig.exchange.windows) == shape.outage:
            rig.exchange.error = ExchangeUnavailableError("away in this test")

    rig.exchange.before_page = go_away
    rig.store.fails_after = shape.outage
    await rig.complete_through_failures()
    rig.exchange.rows = world.all_rows
    await rig.complete_through_failures()
    assert_equals(rig, world)
    rig.exchange.before_page = lambda: None
    rig.exchange.empty_pages = {len(rig.exchange.windows) + shape.empty}
    await rig.amounts.complete(START, NOW)
    rig.fired["empty page"] += max(rig.exchange.empty_pages) <= len(rig.exchange.windows)
    assert_equals(rig, world)
    assert not rig.disputes

    await check_changes(rig, world, shape, chance)
    rig.fired["page boundary"] += rig.exchange.full_pages
    return rig.fired


async def check_changes(rig: Rig, world: World, shape: Shape, chance: random.Random) -> None:
    """Changed rows are disputed once, and nothing that is stored changes."""
    before = dict(rig.store.records)
    paid = [key for key, rows in world.rows.items() if any(row.part.tran_id for row in rows)]
    changed = chance.sample(paid, min(shape.changed, len(paid)))
    for key in changed:
        rig.fired["row changed"] += 1
        part = next(row.part for row in world.rows[key] if row.part.tran_id)
        other = structs.replace(part, amount=part.amount + 1)
        rig.exchange.rows = [
            structs.replace(row, part=other) if row.part == part else row
            for row in rig.exchange.rows
        ]
    await rig.amounts.complete(START, NOW)
    await rig.amounts.complete(START, NOW)

    assert rig.store.records == before
    assert sorted(dispute.key for dispute in rig.disputes) == sorted(changed)


def assert_equals(rig: Rig, world: World) -> None:
    for key in world.rows:
        parts, usdt = world.expected(key)
        amount = rig.store.records[key].amount
        if amount is None:
            assert not parts
            continue
        assert Counter(amount.parts) == parts
        assert usdt == (None if amount.amount_usdt is None else Fraction(amount.amount_usdt))


def test_amounts_are_the_sums_of_the_exchange() -> None:
    """Prints how often each fault fired; one that never did proves nothing."""
    fired: Counter[str] = Counter()

    @settings(max_examples=60)
    @given(shape=SHAPES)
    def holds(shape: Shape) -> None:
        fired.update(run_on_virtual_time(lambda: check(shape)))

    holds()

    for fault in FAULTS:
        print(f"{fired[fault]:7}  {fault}")  # noqa: T201 (how often each fired)
    assert not [fault for fault in FAULTS if not fired[fault]]
