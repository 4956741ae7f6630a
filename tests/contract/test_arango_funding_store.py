"""The funding store in ArangoDB when the store or an instance fails."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from msgspec.structs import replace

from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from chimera_s1.adapters.arango.funding_store import ANNOUNCEMENTS, ArangoFundingStore
from chimera_s1.adapters.arango.layout import (
    CURSORS,
    FUNDING,
    FUNDING_ANNOUNCEMENTS,
    FUNDING_COVERAGE,
    FUNDING_DISPUTES,
)
from chimera_s1.adapters.arango.retrying_requests import ArangoTimeouts
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import FundingChange, WrittenRecords
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import DATABASE, FAILOVER_REPLIES
from tests.contract.arango_rows import connected
from tests.contract.arango_store_harness import SHORT_TIMEOUTS
from tests.contract.funding_records import (
    CHINESE,
    START,
    bare_record,
    change,
    dispute_of,
    full_record,
    key_of,
)

RECORDS_PATH = f"/_api/document/{FUNDING}"
LOG_PATH = f"/_api/document/{FUNDING_ANNOUNCEMENTS}"
COVERAGE_PATH = f"/_api/document/{FUNDING_COVERAGE}"
EVER = (0, 10 * START)
PAGE = (Path(__file__).parents[2] / "docs" / "funding-history.md").read_text(encoding="utf-8")
OUTAGE_TIMEOUTS = ArangoTimeouts(total_s=2.5, read_s=2.5)


@pytest.fixture
def double() -> Iterator[ArangoDouble]:
    with arango_double(coordinators=2) as double:
        yield double
        assert not double.unknown


@pytest.fixture
async def arango(double: ArangoDouble) -> AsyncIterator[ArangoDatabase]:
    async with connected(double) as arango:
        yield arango


async def announced(store: ArangoFundingStore) -> list[FundingRecord]:
    return [each.record for each in await store.announced()]


def news(*names: str, version: int = 1, announce: bool = True) -> list[FundingChange]:
    return [change(full_record(name, version=version), announce=announce) for name in names]


def records(changes: list[FundingChange]) -> tuple[FundingRecord, ...]:
    return tuple(each.record for each in changes)


async def test_a_crash_between_log_and_record_is_repaired_by_any_instance(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """With the next announced change; the announcement follows the record, and is not repeated."""
    store = ArangoFundingStore(arango)
    await store.write(news("A"))
    fault = double.faults.arm("403/11", method="POST", path=RECORDS_PATH)
    changes = news("A", version=2) + news("B")
    with pytest.raises(StoreUnavailableError, match="403/11"):
        await store.write(changes)
    assert fault.fired == 1
    assert await store.between(*EVER) == records(news("A"))
    logged = [full_record("A"), *records(changes)]
    assert await announced(store) == logged[:1]

    async with connected(double) as other:
        later = ArangoFundingStore(other)
        different = [change(full_record("B", first_seen_at=START), announce=True)]
        assert (await later.write(different)).written == ()

        assert await later.between(*EVER) == records(changes)
        assert (await later.write(changes)).written == ()
        assert await announced(later) == logged


async def test_a_lost_or_refused_reply_neither_loses_nor_repeats_a_record(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """A write whose effect is not known is read, or sent again; it counts as written once."""
    store = ArangoFundingStore(arango)
    logged: list[FundingRecord] = []
    paths = ((RECORDS_PATH, False), (RECORDS_PATH, True), (LOG_PATH, True))
    for fault in ("apply-then-drop", "apply-then-409/1210", "409/1210"):
        for path, announce in paths:
            symbols = [f"{name}-{fault}-{path}-{announce}" for name in ("A", "B", CHINESE)]
            changes = news(*symbols, announce=announce)
            armed = double.faults.arm(fault, method="POST", path=path)

            result = await store.write(changes)

            assert armed.fired == 1
            assert result == WrittenRecords(tuple(changes))
            found = await store.find([each.record.key for each in changes])
            assert tuple(found.values()) == records(changes)
            logged += records(changes) if announce else ()
            assert await announced(store) == logged
            assert await store.write(changes) == WrittenRecords()


async def test_a_busy_record_is_written_again(double: ArangoDouble, arango: ArangoDatabase) -> None:
    store = ArangoFundingStore(arango)
    fault = double.faults.arm("409/1200", method="POST", path=RECORDS_PATH, times=3)

    result = await store.write(news("A", "B", announce=False))

    assert fault.fired == 3
    assert len(result.written) == 2


async def test_a_store_that_goes_away_during_an_import(double: ArangoDouble) -> None:
    """The call fails; a repeated one writes what is missing, and nothing twice."""
    connection = connect_arango(
        double.urls, user="root", read_password=str, database=DATABASE, timeouts=OUTAGE_TIMEOUTS
    )
    size = ANNOUNCEMENTS.batch_max
    many = [change(bare_record(f"S{n:04d}"), announce=True) for n in range(size + 1)]
    async with connection as arango:
        store = ArangoFundingStore(arango)
        fault = double.faults.arm("hold", method="POST", path=LOG_PATH, every=2)

        def take_down_when_fired() -> None:
            fault.wait_fired()
            double.take_down(0)
            double.take_down(1)
            fault.release()

        async with anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, take_down_when_fired)
            with pytest.raises(StoreUnavailableError, match="ArangoDB at"):
                await store.write(many)
        double.bring_up(0)
        double.bring_up(1)
        result = await store.write(many)

        assert fault.fired == 1
        assert set(result.written) <= set(many[size:])
        assert await store.between(*EVER) == records(many)
        found = await store.announced(limit=2 * size)
        assert [each.record for each in found] == list(records(many))


@pytest.mark.parametrize(("path", "announce"), [(RECORDS_PATH, False), (LOG_PATH, True)])
async def test_a_request_that_the_store_refuses_is_written_in_parts(
    double: ArangoDouble, arango: ArangoDatabase, path: str, announce: bool
) -> None:
    """As where it is too large; the one record that is refused is named."""
    store = ArangoFundingStore(arango)
    some = news(*"ABCDE", announce=announce)
    # The first three requests that are tried: all five records, two of them, one of those.
    fault = double.faults.arm("400/1620", method="POST", path=path, times=3)

    result = await store.write(some)

    assert fault.fired == 3
    assert [each.change for each in result.refused] == some[:1]
    assert "400/1620" in result.refused[0].reason
    assert set(result.written) == set(some[1:])
    assert await store.between(*EVER) == records(some[1:])


async def test_a_refused_record_is_announced_once_it_is_written(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    store = ArangoFundingStore(arango)
    bad = (DATABASE, FUNDING, f"{START:016d}-BAD-Regular")
    double.store.refused_keys.add(bad)

    first, second = [await store.write(news("A", "BAD", "C")) for _ in range(2)]

    assert first.written == tuple(news("A", "C"))
    assert [each.change for each in first.refused] == news("BAD")
    assert "1620" in first.refused[0].reason
    assert (second.written, second.refused) == ((), first.refused)
    async with connected(double) as other:
        follower = ArangoFundingStore(other)
        assert await announced(follower) == list(records(news("A", "C")))
        (last,) = (await follower.announced())[1:]
        double.store.refused_keys.remove(bad)

        assert (await store.write(news("BAD"))).written == tuple(news("BAD"))

        after = await follower.announced(after=last.position)
        assert [each.record for each in after] == [full_record("BAD")]
    assert await store.between(*EVER) == records(news("A", "BAD", "C"))


async def test_a_record_that_is_refused_after_a_crash_is_not_announced(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    store = ArangoFundingStore(arango)
    double.faults.arm("403/11", method="POST", path=RECORDS_PATH)
    with pytest.raises(StoreUnavailableError, match="403/11"):
        await store.write(news("A", "BAD"))
    double.store.refused_keys.add((DATABASE, FUNDING, f"{START:016d}-BAD-Regular"))

    async with connected(double) as other:
        later = ArangoFundingStore(other)
        result = await later.write(news("C"))

        assert result.written == tuple(news("C"))
        assert await announced(later) == list(records(news("A", "C")))
        assert await later.between(*EVER) == records(news("A", "C"))


async def test_an_instance_that_lags_writes_after_the_others(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """Its number is taken, so it reads that batch first and writes only what still follows."""
    lagging = ArangoFundingStore(arango)
    await lagging.write(news("A"))
    faults = [
        double.faults.arm("stale", method="POST", path="/_api/cursor", every=2),
        double.faults.arm("stale", method="GET", path=f"/_api/document/{CURSORS}", every=2),
    ]
    async with connected(double) as other:
        await ArangoFundingStore(other).write(news("A", version=2) + news("B"))

    result = await lagging.write(news("A", version=2) + news("C"))

    assert [fault.fired for fault in faults] == [1, 1]
    assert result.written == tuple(news("C"))
    expected = [full_record("A"), *records(news("A", version=2) + news("B", "C"))]
    assert await announced(lagging) == expected
    assert await lagging.between(*EVER) == tuple(expected[1:])


async def test_leaders_change_while_two_instances_write(double: ArangoDouble) -> None:
    """Many requests fail, applied or not; each version is written by one, and announced once."""
    written: list[FundingChange] = []

    async def write_all(store: ArangoFundingStore, seen_at: int) -> None:
        for version in range(1, 5):
            for name, announce in (("A", True), ("B", False)):
                record = full_record(name, version=version, first_seen_at=seen_at)
                written.extend((await store.write([change(record, announce=announce)])).written)

    async with connected(double) as first, connected(double) as second:
        faults = [
            double.faults.arm(name, path=path, times=None, every=every)
            for path, name, every in FAILOVER_REPLIES
        ]
        stores = [ArangoFundingStore(each) for each in (first, second)]
        async with anyio.create_task_group() as group:
            for number, store in enumerate(stores):
                group.start_soon(write_all, store, number)
        double.faults.clear()

        assert sum(fault.fired for fault in faults) > 4
        versions = sorted(each.record.version for each in written if each.announce)
        assert versions == [1, 2, 3, 4]
        # If its reply was lost, an imported version cannot be recognized under a newer one.
        imported = sorted(each.record.version for each in written if not each.announce)
        assert imported == sorted({*imported})
        assert imported[-1] == 4
        in_log = await announced(stores[0])
        assert [each.version for each in in_log] == [1, 2, 3, 4]
        assert set(in_log) == {each.record for each in written if each.announce}
        assert set(await stores[0].between(*EVER)) == {
            each.record for each in written if each.record.version == 4
        }


async def test_coverage_survives_lost_replies_and_another_writer(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    store = ArangoFundingStore(arango)
    await store.extend_coverage([covered("A", 5, 6), covered("B", 5, 6)])
    faults = [
        double.faults.arm("apply-then-drop", method="POST", path=COVERAGE_PATH),
        double.faults.arm("stale", method="PUT", path=COVERAGE_PATH, every=2),
    ]
    await store.extend_coverage([covered("A", 7, 8)])

    # Reads spans as they were before the call above.
    await store.extend_coverage([covered("A", 4, 4), covered("B", 7, 7)])

    assert [fault.fired for fault in faults] == [1, 1]
    assert await store.coverage() == {"A": covered("A", 4, 8), "B": covered("B", 5, 7)}


async def test_spans_that_stay_old_are_an_error_of_a_named_server(double: ArangoDouble) -> None:
    connection = connect_arango(
        double.urls, user="root", read_password=str, database=DATABASE, timeouts=SHORT_TIMEOUTS
    )
    async with connection as arango:
        store = ArangoFundingStore(arango)
        stale = double.faults.arm("stale", method="PUT", path=COVERAGE_PATH, times=None)
        await store.extend_coverage([covered("A", 5, 6)])

        with pytest.raises(StoreUnavailableError, match=r"ArangoDB at http\S+ showed spans"):
            await store.extend_coverage([covered("A", 7, 8)])

        assert stale.fired > 2


def covered(symbol: str, start: int, end: int) -> RateCoverage:
    return RateCoverage(symbol=Symbol(symbol), verified_from=start, verified_through=end)


async def test_other_services_find_the_named_fields(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """At the top level, numbers with exact texts beside them."""
    await ArangoFundingStore(arango).write([change(full_record(CHINESE))])

    (document,) = double.documents(DATABASE, FUNDING).all()

    assert document["_key"] == (f"{START:016d}-=E5=B8=81=E5=AE=89=E4=BA=BA=E7=94=9FUSDT-Regular")
    assert (document["symbol"], document["funding_time"]) == (CHINESE, START)
    assert (document["rate"], document["rate_text"]) == (0.0001, "0.0001")
    assert (document["mark_price"], document["interval_h"]) == (67403.80000001, 8)
    assert document["amount_usdt"] == 92233720368.54775
    assert document["amount_usdt_text"] == "92233720368.54775195"
    assert [
        name for name in document if f"`{name}`" not in PAGE and name not in {"_id", "_rev"}
    ] == []
    assert document["parts"][0] == {"tran_id": 1, "asset": "BNB", "amount": "-0.00000001"}


async def test_a_damaged_document_is_named_with_its_cure(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    store = ArangoFundingStore(arango)
    await store.write(news("A"))
    await store.dispute([dispute_of("A")])
    await store.extend_coverage([covered("A", 5, 6)])
    damage: dict[str, dict[str, object]] = {
        FUNDING: {"rate_text": "1e5"},
        FUNDING_ANNOUNCEMENTS: {"changes": [{}]},
        FUNDING_DISPUTES: {"found_at": "?"},
        FUNDING_COVERAGE: {"verified_from": None},
    }
    for name, change_of in damage.items():
        documents = double.documents(DATABASE, name)
        (key,) = documents.keys()
        documents.put(key, documents.get(key) | change_of)

    with pytest.raises(StoreUnavailableError, match=r"funding_records/.*chimera-s1 funding backf"):
        await store.between(*EVER)
    with pytest.raises(StoreUnavailableError, match=r"funding_records/.*chimera-s1 funding backf"):
        await store.find([key_of("A")])
    with pytest.raises(StoreUnavailableError, match=r"funding_announcements/.*restore it"):
        await store.announced()
    with pytest.raises(StoreUnavailableError, match=r"funding_disputes/.*restore or delete it"):
        await store.disputes()
    for read in (store.coverage(), store.extend_coverage([covered("A", 1, 9)])):
        with pytest.raises(StoreUnavailableError, match=r"funding_coverage/.*delete it"):
            await read


async def test_the_database_of_an_older_service_may_be_read(double: ArangoDouble) -> None:
    """It lacks the collections; each read says so, and what adds them."""
    async with connected(double):
        pass
    for name in (FUNDING, FUNDING_ANNOUNCEMENTS, FUNDING_DISPUTES, FUNDING_COVERAGE):
        del double.store[DATABASE].collections[name]
    connection = connect_arango(
        double.urls, user="root", read_password=str, database=DATABASE, read_only=True
    )
    async with connection as arango:
        store = ArangoFundingStore(arango)
        for read in (store.between, store.daily_sums):
            with pytest.raises(StoreUnavailableError, match="start chimera-s1 serve to create it"):
                await read(*EVER)
        with pytest.raises(StoreUnavailableError, match="start chimera-s1 serve to create it"):
            await store.coverage()


async def test_a_refused_span_is_an_error(double: ArangoDouble, arango: ArangoDatabase) -> None:
    store = ArangoFundingStore(arango)
    double.store.refused_keys.add((DATABASE, FUNDING_COVERAGE, "amounts-live=3A1"))
    coverage = AmountCoverage(account="live:1", verified_from=1, verified_through=2)

    with pytest.raises(StoreUnavailableError, match=r"funding_coverage: .*1620"):
        await store.extend_amount_coverage(coverage)

    other = replace(coverage, account="live:2")
    await store.extend_amount_coverage(other)
    assert await store.amount_coverage("live:2") == other
