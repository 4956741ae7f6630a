"""Every `FundingStore` does what the one in memory does, whatever the order of calls."""

from collections.abc import Sequence
from itertools import count
from typing import TypeAlias, assert_never

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import FundingChange, FundingStore
from tests.contract.funding_harness import FundingHarness
from tests.contract.funding_harnesses import funding, funding_harness
from tests.contract.funding_records import (
    HOUR_MS,
    START,
    amount_of,
    bare_record,
    dispute_of,
    full_record,
)
from tests.fakes.funding_store import FakeFundingStore

__all__ = ["funding", "funding_harness"]

HOURS = 30
"""Settlements of an example lie within so many hours; the next example has the next hours."""
SYMBOLS = ("A", "币-a")


class Write(Struct, frozen=True):
    changes: tuple[FundingChange, ...]


class Dispute(Struct, frozen=True):
    disputes: tuple[FundingDispute, ...]


class Cover(Struct, frozen=True):
    spans: tuple[RateCoverage, ...]


Call: TypeAlias = Write | Dispute | Cover

KEYS = st.builds(
    SettlementKey,
    st.sampled_from([START, START + 3, START + (HOURS - 1) * HOUR_MS]),
    st.sampled_from(SYMBOLS).map(Symbol),
    st.sampled_from([REGULAR, SPECIAL]),
)
AMOUNTS = st.sampled_from([None, "0.1", "0.2", "-0.00000001"])


@st.composite
def changes(draw: st.DrawFn) -> FundingChange:
    key, version = draw(KEYS), draw(st.integers(1, 3))
    if draw(st.booleans()):
        record = bare_record("", key=key, version=version)
    else:
        record = full_record("", key=key, version=version, amount=amount_of(draw(AMOUNTS)))
    return FundingChange(record, draw(st.booleans()))


DISPUTES = st.builds(
    lambda key, field: dispute_of("", key=key, field=field),
    KEYS,
    st.sampled_from(["rate", "amount"]),
)
SPANS = st.builds(
    lambda symbol, start, length: RateCoverage(
        symbol=Symbol(symbol), verified_from=start, verified_through=start + length
    ),
    st.sampled_from(SYMBOLS),
    st.integers(0, 9),
    st.integers(0, 3),
)
CALLS = st.one_of(
    st.lists(changes(), min_size=1, max_size=6).map(lambda some: Write(tuple(some))),
    st.lists(changes(), min_size=1, max_size=6).map(lambda some: Write(tuple(some))),
    st.lists(DISPUTES, max_size=3).map(lambda some: Dispute(tuple(some))),
    st.lists(SPANS, max_size=3).map(lambda some: Cover(tuple(some))),
)
NUMBERS = count()


def moved_key(key: SettlementKey, example: int) -> SettlementKey:
    time = key.funding_time + example * HOURS * HOUR_MS
    return SettlementKey(time, Symbol(f"{key.symbol}{example}"), key.rate_type)


def moved(call: Call, example: int) -> Call:
    """The same call about settlements and symbols that belong to this example only."""
    match call:
        case Write(changes=some):
            records = [
                replace(each.record, key=moved_key(each.record.key, example)) for each in some
            ]
            return Write(
                tuple(
                    FundingChange(record, each.announce)
                    for record, each in zip(records, some, strict=True)
                )
            )
        case Dispute(disputes=disputes):
            return Dispute(
                tuple(replace(each, key=moved_key(each.key, example)) for each in disputes)
            )
        case Cover(spans=spans):
            return Cover(
                tuple(replace(each, symbol=Symbol(f"{each.symbol}{example}")) for each in spans)
            )
        case unreachable:
            assert_never(unreachable)


async def effect(store: FundingStore, call: Call) -> Sequence[object]:
    """What the store says about *call*."""
    match call:
        case Write(changes=some):
            result = await store.write(some)
            assert result.refused == ()
            return sorted(result.written, key=lambda each: (each.record.key, each.record.version))
        case Dispute(disputes=disputes):
            return await store.dispute(disputes)
        case Cover(spans=spans):
            await store.extend_coverage(spans)
            return ()
        case unreachable:
            assert_never(unreachable)


async def contents(store: FundingStore, example: int, after: int) -> dict[str, object]:
    """All that can be read of one example, page by page."""
    start = START + example * HOURS * HOUR_MS
    end = start + HOURS * HOUR_MS - 1
    symbols = [Symbol(f"{symbol}{example}") for symbol in SYMBOLS]
    records: list[FundingRecord] = []
    while page := await store.between(
        start, end, after=records[-1].key if records else None, limit=2
    ):
        records += page
    coverage = await store.coverage()
    return {
        "records": records,
        "found": await store.find([each.key for each in records]),
        "of symbols": [await store.between(start, end, symbol=each) for each in symbols],
        "sums": await store.daily_sums(start, end),
        "sums of symbol": await store.daily_sums(start, end, symbols[1]),
        "disputes": [await store.disputes(symbol=each) for each in symbols],
        "coverage": [coverage.get(each) for each in symbols],
        "announced": [each.record for each in await store.announced(after=after)],
    }


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.tuples(st.booleans(), CALLS), min_size=1, max_size=6))
async def test_calls_have_the_effect_they_have_in_memory(
    funding_harness: FundingHarness, funding: FundingStore, calls: list[tuple[bool, Call]]
) -> None:
    """By two instances, of which each call uses one."""
    example = next(NUMBERS)
    other = await funding_harness.open_another()
    model = FakeFundingStore()
    announced = await funding.announced(limit=1_000_000)
    after = announced[-1].position if announced else 0

    for by_other, call in calls:
        here = moved(call, example)
        store = other if by_other else funding
        assert await effect(store, here) == await effect(model, here)

    expected = await contents(model, example, 0)
    for store in (funding, other):
        assert await contents(store, example, after) == expected
