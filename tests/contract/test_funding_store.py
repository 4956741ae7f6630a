"""What every `FundingStore` does."""

from collections.abc import Sequence
from decimal import Decimal

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.daily_sums import DailyFunding
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import SPECIAL, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import AnnouncedRecord, FundingChange, FundingStore
from tests.contract.funding_harness import FundingHarness
from tests.contract.funding_harnesses import funding, funding_harness
from tests.contract.funding_records import (
    CHINESE,
    HOUR_MS,
    START,
    amount_of,
    bare_record,
    change,
    dispute_of,
    full_record,
    key_of,
)
from tests.time_limits import TIMEOUT_S

__all__ = ["funding", "funding_harness"]

EVER = (0, 10 * START)


async def all_between(
    funding: FundingStore, start: int, end: int, symbol: Symbol | None = None, page: int = 1_000
) -> list[FundingRecord]:
    """Read page by page."""
    found: list[FundingRecord] = []
    after: SettlementKey | None = None
    while some := await funding.between(start, end, symbol=symbol, after=after, limit=page):
        assert len(some) <= page
        found += some
        after = some[-1].key
    return found


async def all_announced(funding: FundingStore, page: int = 500) -> list[AnnouncedRecord]:
    """Read page by page, as a follower does."""
    found: list[AnnouncedRecord] = []
    while some := await funding.announced(after=found[-1].position if found else 0, limit=page):
        assert len(some) <= page
        found += some
    return found


def records(announced: Sequence[AnnouncedRecord]) -> list[FundingRecord]:
    return [each.record for each in announced]


async def test_records_read_back_as_they_were_written(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    """Every attribute, exact decimals; in the order of keys; also in a later process."""
    stored = [
        bare_record("A"),
        full_record(CHINESE),
        full_record("A", 8),
        full_record("A", 8, key=key_of("A", 8, SPECIAL)),
        full_record("A", 9, key=key_of("A", 9, "TypeOfTomorrow")),
    ]

    result = await funding.write([change(each) for each in reversed(stored)])

    assert len(result.written) == len(stored)
    for reader in (funding, await funding_harness.open()):
        assert await reader.between(*EVER) == tuple(stored)
        keys = [each.key for each in stored]
        assert await reader.find([*keys, key_of("B")]) == dict(zip(keys, stored, strict=True))
        assert await reader.find([]) == {}
        assert await reader.announced() == ()


async def test_no_two_settlements_share_a_record(funding: FundingStore) -> None:
    """Whatever the characters, case and length of their names, and however a store encodes them."""
    symbols = [
        *("A", "a", "=41", "%41", "A-1", "A_1", "A.1", "A-", "=E5=B8=81", "A00", "A\u0001"),
        *("币", "幣", "币" * 63, "币" * 64, "é", "e\u0301", "\uff41", "\U0001f680", "\uffff"),
    ]
    types = ("Regular", "regular", "-Regular", "", "类型")
    stored = [
        bare_record(symbol, key=key_of(symbol, 0, rate_type))
        for symbol in symbols
        for rate_type in types
    ]

    await funding.write([change(each) for each in stored])

    in_order = sorted(stored, key=lambda each: each.key)
    assert await all_between(funding, *EVER, page=7) == in_order
    for symbol in symbols:
        of_symbol = [each for each in in_order if each.key.symbol == symbol]
        assert await all_between(funding, *EVER, Symbol(symbol), page=2) == of_symbol
    assert len(await funding.find([each.key for each in stored])) == len(stored)


async def test_a_window_is_read_page_by_page(funding: FundingStore) -> None:
    """Both times included, also some ms off the full hour."""
    stored = [bare_record(symbol, hour) for hour in range(4) for symbol in ("A", "B", CHINESE)]
    odd = bare_record("B", key=SettlementKey(START + HOUR_MS + 3, Symbol("B"), "Regular"))
    await funding.write([change(each) for each in [*stored, odd]])

    start, end = START + HOUR_MS, START + 2 * HOUR_MS
    inside, of_symbol = [*stored[3:6], odd, *stored[6:9]], [stored[4], odd, stored[7]]
    for page in (1, 3, 1_000):
        assert await all_between(funding, start, end, page=page) == inside
        assert await all_between(funding, start, end, Symbol("B"), page) == of_symbol
    assert await funding.between(end, start) == ()
    assert await funding.between(start, end, after=key_of("Z", 3)) == ()
    assert await funding.between(start, end, after=key_of("Z", 0), limit=1) == (stored[3],)
    assert await funding.between(start, end, symbol=Symbol("C")) == ()


async def test_a_version_is_written_only_over_the_one_before_it(funding: FundingStore) -> None:
    first, second, third = (full_record("A", version=version) for version in (1, 2, 3))
    other = full_record("A", version=1, first_seen_at=START)

    results = [
        await funding.write([change(third)]),
        await funding.write([change(first), change(first), change(other)]),
        await funding.write([change(third)]),
        await funding.write([change(second), change(third)]),
        await funding.write([change(first), change(second), change(third)]),
    ]

    assert [[each.record for each in result.written] for result in results] == [
        [],
        [first],
        [],
        [second, third],
        [],
    ]
    assert all(result.refused == () for result in results)
    assert await funding.between(*EVER) == (third,)


async def test_a_newer_version_leaves_nothing_of_the_older_one(funding: FundingStore) -> None:
    await funding.write([change(full_record("A"))])
    await funding.write([change(bare_record("A", version=2))])

    assert await funding.between(*EVER) == (bare_record("A", version=2),)


async def test_announcements_are_read_once_in_order(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    """Only those that were asked for; each version as it was, whatever followed."""
    first = [full_record(f"S{number}") for number in range(5)]
    second = [full_record("S3", version=2), full_record("S1", version=2)]
    await funding.write([change(each, announce=True) for each in first])
    await funding.write([change(full_record("OLD")), change(second[0], announce=True)])
    await funding.write([change(second[1], announce=True), change(second[1], announce=True)])

    later = await funding_harness.open()
    found = await all_announced(later)

    assert records(found) == [*first, *second]
    assert await all_announced(later, page=1) == await all_announced(later, page=4) == found
    positions = [each.position for each in found]
    assert positions == sorted(set(positions))
    assert positions[0] > 0


async def test_the_start_of_the_log_of_announcements_is_forgotten(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    """What was read and is old; a store may keep some. No position is used again."""
    seen_at = [*range(10, 15), 20, 5]
    news = [full_record(f"S{n}", first_seen_at=each) for n, each in enumerate(seen_at)]
    for each in news:
        await funding.write([change(each, announce=True)])
    found = await all_announced(funding)
    assert await funding.forget_announced(through=found[0].position - 1, before=100) == 0
    assert await funding.forget_announced(through=found[-1].position, before=10) == 0
    assert await all_announced(funding) == found

    number = await funding.forget_announced(through=found[3].position, before=13)

    later = await funding_harness.open()
    assert number == 3
    assert await all_announced(later) == found[number:]
    all_of_it = await later.forget_announced(through=found[-1].position, before=21)
    left = await all_announced(later)
    assert left == found[number + all_of_it :]
    assert len(left) <= 1
    await later.write([change(full_record("LAST"), announce=True)])
    after = await later.announced(after=found[-1].position)
    assert records(after) == [full_record("LAST")]
    assert await later.between(*EVER, limit=len(news)) != ()


async def test_nothing_to_write(funding: FundingStore) -> None:
    result = await funding.write([])

    assert (result.written, result.refused) == ((), ())
    assert await funding.dispute([]) == ()
    await funding.extend_coverage([])
    assert await funding.between(*EVER) == ()
    assert await funding.announced() == ()
    assert await funding.disputes() == ()
    assert await funding.daily_sums(*EVER) == ()
    assert await funding.coverage() == {}
    assert await funding.amount_coverage("live:1") is None


@pytest.mark.parametrize("announce", [False, True])
async def test_one_refused_record_does_not_lose_the_others(
    funding_harness: FundingHarness, funding: FundingStore, announce: bool
) -> None:
    """It is named with the store's reason, each time, and never announced."""
    funding_harness.refuse(key_of("BAD"))
    some = [change(full_record(name), announce=announce) for name in ("A", "BAD", "C")]

    for written in ([some[0], some[2]], []):
        result = await funding.write(some)
        assert list(result.written) == written
        assert [each.change for each in result.refused] == [some[1]]
        assert all(each.reason for each in result.refused)

    stored = [some[0].record, some[2].record]
    assert await funding.between(*EVER) == tuple(stored)
    assert records(await all_announced(funding)) == (stored if announce else [])


async def test_of_instances_that_write_at_once_one_writes_each_version(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    """A follower that reads meanwhile misses no announcement, and what it reads stays stored."""
    stores = [funding, await funding_harness.open_another()]
    follower = await funding_harness.open_another()
    names = ("A", "B")
    written: list[FundingChange] = []
    followed: list[AnnouncedRecord] = []

    def of_instance(number: int, version: int) -> list[FundingChange]:
        return [
            change(full_record(name, version=version, first_seen_at=number), announce=name == "A")
            for name in names
        ]

    async def write(number: int) -> None:
        for version in range(1, 6):
            written.extend((await stores[number].write(of_instance(number, version))).written)

    async def follow() -> None:
        while len({each.record.version for each in followed}) < 5:
            after = followed[-1].position if followed else 0
            followed.extend(await follower.announced(after=after, limit=2))

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            for number in range(len(stores)):
                group.start_soon(write, number)

    versions = sorted((each.record.key.symbol, each.record.version) for each in written)
    assert versions == [(name, version) for name in names for version in range(1, 6)]
    assert followed == (await all_announced(funding))[: len(followed)]
    stored = await funding.between(*EVER)
    assert set(stored) == {each.record for each in written if each.record.version == 5}
    announced = {each.record.version: each.record for each in followed}
    for each in written:
        if each.announce:
            assert announced[each.record.version] == each.record


async def test_a_dispute_is_kept_once(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    """By settlement, field and hash; the newest settlements first."""
    first = dispute_of("A")
    others = [
        dispute_of(CHINESE, 8),
        dispute_of("A", field="mark_price"),
        dispute_of("A", content_hash="d" * 64),
        dispute_of("A", key=key_of("A", 0, SPECIAL)),
    ]

    assert await funding.dispute([first, first]) == (first,)
    assert await funding.dispute([replace(first, found_at=START), *others]) == tuple(others)
    assert await funding.dispute([first, *others]) == ()

    later = await funding_harness.open()
    found = await later.disputes()
    assert set(map(str, found)) == set(map(str, [first, *others]))
    assert [each.key for each in found] == sorted((each.key for each in found), reverse=True)
    assert await later.disputes(limit=2) == found[:2]
    assert await later.disputes(symbol=Symbol(CHINESE)) == (others[0],)
    assert await later.disputes(symbol=Symbol("B")) == ()


def covered(symbol: str, start: int, end: int) -> RateCoverage:
    return RateCoverage(symbol=Symbol(symbol), verified_from=start, verified_through=end)


async def test_coverage_is_united_and_never_shortened(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    steps = [
        ((20, 30), (20, 30)),
        ((22, 25), (20, 30)),  # within
        ((31, 40), (20, 40)),  # adjacent
        ((10, 19), (10, 40)),
        ((5, 8), (10, 40)),  # apart, and ends earlier
        ((42, 50), (42, 50)),  # apart, and ends later
        ((1, 60), (1, 60)),
    ]
    await funding.extend_coverage([covered(CHINESE, 1, 2), covered("B", 1, 2)])

    for found, stored in steps:
        await funding.extend_coverage([covered("A", *found), covered(CHINESE, 3, found[1])])
        assert (await funding.coverage())[Symbol("A")] == covered("A", *stored)

    await funding.extend_coverage([covered("B", 3, 4), covered("B", 5, 6)])
    assert await (await funding_harness.open()).coverage() == {
        "A": covered("A", 1, 60),
        "B": covered("B", 1, 6),
        CHINESE: covered(CHINESE, 1, 60),
    }


async def test_coverage_of_amounts_is_kept_by_account(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    """And apart from that of a symbol of the same name."""
    for start, end in ((5, 9), (10, 12), (1, 2)):
        await funding.extend_amount_coverage(
            AmountCoverage(account="live:1 名", verified_from=start, verified_through=end)
        )

    later = await funding_harness.open()
    assert await later.amount_coverage("live:1 名") == AmountCoverage(
        account="live:1 名", verified_from=5, verified_through=12
    )
    assert await later.amount_coverage("live:2") is None
    assert await later.coverage() == {}


async def test_instances_extend_coverage_at_once(
    funding_harness: FundingHarness, funding: FundingStore
) -> None:
    stores = [funding, await funding_harness.open_another()]
    await funding.extend_coverage([covered("A", 50, 50)])

    async def extend(number: int) -> None:
        for step in range(1, 9):
            span = (50, 50 + step) if number else (50 - step, 50)
            await stores[number].extend_coverage([covered("A", *span)])

    async with anyio.create_task_group() as group:
        for number in range(len(stores)):
            group.start_soon(extend, number)

    assert await funding.coverage() == {"A": covered("A", 42, 58)}


async def test_sums_of_a_day_are_exact(funding: FundingStore) -> None:
    """In decimals, where float64 would lose the last digits; days are those of UTC."""
    amounts = ("92233720368.54775807", "0.1", "0.2", "-0.00000001", "-3", None)
    for hour, usdt in enumerate(amounts):
        await funding.write([change(full_record("A", hour, amount=amount_of(usdt)))])
    await funding.write(
        [
            change(bare_record("A", 23)),
            change(full_record(CHINESE, 23, amount=amount_of("0"))),
            change(full_record("A", 24, amount=amount_of("-1.5"))),
        ]
    )

    def day(symbol: str, number: int, counts: tuple[int, int], *sums: str) -> DailyFunding:
        return DailyFunding(
            day=START + number * DAY_MS,
            symbol=Symbol(symbol),
            settlements=counts[0],
            received=Decimal(sums[0]),
            paid=Decimal(sums[1]),
            without_amount=counts[1],
        )

    first = day("A", 0, (7, 2), "92233720368.84775807", "-3.00000001")
    chinese, second = day(CHINESE, 0, (1, 0), "0", "0"), day("A", 1, (1, 0), "0", "-1.5")
    assert await funding.daily_sums(START, START + 2 * DAY_MS) == (first, chinese, second)
    assert await funding.daily_sums(START, START + DAY_MS, Symbol("A")) == (first, second)
    assert await funding.daily_sums(START, START + DAY_MS - 1) == (first, chinese)
    assert await funding.daily_sums(START + 4 * HOUR_MS, START + 5 * HOUR_MS) == (
        day("A", 0, (2, 1), "0", "-3"),
    )
