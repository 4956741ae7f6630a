"""The instrument registry in ArangoDB when the store or an instance fails."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from chimera_s1.adapters.arango.instrument_registry import CHANGES_LOG, ArangoInstrumentRegistry
from chimera_s1.adapters.arango.layout import CURSORS, REGISTRY, REGISTRY_CHANGES
from chimera_s1.adapters.arango.retrying_requests import ArangoTimeouts
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import RegistryChange
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import DATABASE, FAILOVER_REPLIES
from tests.contract.arango_rows import connected
from tests.contract.registry_rows import CHINESE, START, change, full_row, instrument

ROWS_PATH = f"/_api/document/{REGISTRY}"
CHANGES_PATH = f"/_api/document/{REGISTRY_CHANGES}"
PAGE = (Path(__file__).parents[2] / "docs" / "instrument-registry.md").read_text(encoding="utf-8")
OUTAGE_TIMEOUTS = ArangoTimeouts(total_s=2.5, read_s=2.5)
MANY = [change(f"S{number:03d}") for number in range(2 * CHANGES_LOG.batch_max + 1)]


@pytest.fixture
def double() -> Iterator[ArangoDouble]:
    with arango_double(coordinators=2) as double:
        yield double
        assert not double.unknown


@pytest.fixture
async def arango(double: ArangoDouble) -> AsyncIterator[ArangoDatabase]:
    async with connected(double) as arango:
        yield arango


async def logged(registry: ArangoInstrumentRegistry) -> list[RegistryChange]:
    return [each.change for each in await registry.changes()]


async def test_a_crash_between_change_and_row_is_repaired_by_any_instance(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """Also when the next sync finds nothing new; the change is not written twice."""
    registry = ArangoInstrumentRegistry(arango)
    await registry.apply([change("A")])
    # Of the next two writes to a path that begins so, the second is the row's.
    fault = double.faults.arm("403/11", method="POST", path=ROWS_PATH, every=2)
    with pytest.raises(StoreUnavailableError, match="403/11"):
        await registry.apply([change("A", 2), change("B")])
    assert fault.fired == 1
    assert await registry.rows() == (full_row("A"),)
    written = [change("A"), change("A", 2), change("B")]
    assert await logged(registry) == written

    async with connected(double) as other:
        later = ArangoInstrumentRegistry(other)
        assert (await later.apply([])).written == ()

        assert await later.rows() == (full_row("A", 2), full_row("B"))
        assert (await later.apply([change("A", 2), change("B")])).written == ()
        assert await logged(later) == written


async def test_a_store_that_goes_away_during_a_sync(double: ArangoDouble) -> None:
    """The call fails; a repeated one writes what is missing, and no change twice."""
    connection = connect_arango(
        double.urls, user="root", read_password=str, database=DATABASE, timeouts=OUTAGE_TIMEOUTS
    )
    async with connection as arango:
        registry = ArangoInstrumentRegistry(arango)
        fault = double.faults.arm("hold", method="POST", path=CHANGES_PATH, every=2)

        def take_down_when_fired() -> None:
            fault.wait_fired()
            double.take_down(0)
            double.take_down(1)
            fault.release()

        async with anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, take_down_when_fired)
            with pytest.raises(StoreUnavailableError, match="ArangoDB at"):
                await registry.apply(MANY)
        double.bring_up(0)
        double.bring_up(1)
        applied = await registry.apply(MANY)

        assert fault.fired == 1
        assert applied.written
        assert applied.refused == ()
        assert await logged(registry) == MANY
        assert await registry.rows() == tuple(each.row for each in MANY)


async def test_a_batch_that_the_store_refuses_is_written_in_parts(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """As where one document is too large; the one change that is refused is named."""
    registry = ArangoInstrumentRegistry(arango)
    some = MANY[:5]
    # The first three batches that are tried: all five changes, two of them, one of those.
    faults = [double.faults.arm("400/1620", method="POST", path=CHANGES_PATH, times=3)]

    applied = await registry.apply(some)

    assert faults[0].fired == 3
    assert [each.change for each in applied.refused] == some[:1]
    assert "400/1620" in applied.refused[0].reason
    assert set(map(str, applied.written)) == set(map(str, some[1:]))
    assert await registry.rows() == tuple(each.row for each in some[1:])


async def test_a_refused_row_is_logged_once_and_tried_again(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    registry = ArangoInstrumentRegistry(arango)
    bad = (DATABASE, REGISTRY, "perp-BAD")
    double.store.refused_keys.add(bad)

    first, second = [await registry.apply([change("BAD")]) for _ in range(2)]

    assert [each.change for each in first.refused] == [change("BAD")]
    assert "1620" in first.refused[0].reason
    assert second.refused == first.refused
    assert second.written == ()
    assert await logged(registry) == [change("BAD")]
    double.store.refused_keys.remove(bad)
    assert (await registry.apply([])).refused == ()
    assert await registry.rows() == (full_row("BAD"),)


async def test_an_instance_that_lags_writes_after_the_others(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """Its number is taken, so it reads that batch first and writes only what is still new."""
    lagging = ArangoInstrumentRegistry(arango)
    await lagging.apply([change("A")])
    # The other instance reads cursor and batches once; the second reader sees what was before.
    faults = [
        double.faults.arm("stale", method="POST", path="/_api/cursor", every=2),
        double.faults.arm("stale", method="GET", path=f"/_api/document/{CURSORS}", every=2),
    ]
    async with connected(double) as other:
        await ArangoInstrumentRegistry(other).apply([change("A", 2), change("B")])

    assert [fault.fired for fault in faults] == [0, 0]

    applied = await lagging.apply([change("A", 2), change("C")])

    assert [fault.fired for fault in faults] == [1, 1]
    assert applied.written == (change("C"),)
    assert await logged(lagging) == [change("A"), change("A", 2), change("B"), change("C")]
    assert await lagging.rows() == (full_row("A", 2), full_row("B"), full_row("C"))


async def test_other_services_find_the_named_fields(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    """At the top level, exact decimals as text, filters as objects."""
    await ArangoInstrumentRegistry(arango).apply([change(CHINESE)])

    (document,) = double.documents(DATABASE, REGISTRY).all()

    assert document["_key"] == "perp-=E5=B8=81=E5=AE=89=E4=BA=BA=E7=94=9FUSDT"
    assert (document["venue"], document["symbol"], document["tick_size"]) == (
        "perp",
        CHINESE,
        "0.10",
    )
    assert document["leverage_brackets"]["brackets"][0]["notional_cap"] == "50000.0"
    assert document["risk"] == {"rev": 12, "spread_bp_limit": 5.0, "depth_top1_usdt_min": 20_000.0}
    assert document["filters"][0]["tickSize"] == "0.10"
    assert isinstance(document["filters"][1], str)
    assert [
        name for name in document if f"`{name}`" not in PAGE and name not in {"_id", "_rev"}
    ] == []


async def test_a_row_is_found_after_a_crash_before_its_mark(
    double: ArangoDouble, arango: ArangoDatabase
) -> None:
    registry = ArangoInstrumentRegistry(arango)
    fault = double.faults.arm("403/11", method="PATCH", path=ROWS_PATH)
    with pytest.raises(StoreUnavailableError):
        await registry.apply([change("A", checked_at=START + 99)])

    assert fault.fired == 1
    assert await registry.find(instrument("A")) == full_row("A", checked_at=START + 1)
    await registry.apply([])
    assert await registry.rows(Venue.PERP) == (full_row("A", checked_at=START + 99),)


async def test_leaders_change_while_two_instances_apply(double: ArangoDouble) -> None:
    """Many requests fail, applied or not; each change is in the log once."""
    changes = [change(f"S{number % 2}", number // 2 + 1) for number in range(8)]
    written: list[RegistryChange] = []

    async def apply_all(registry: ArangoInstrumentRegistry) -> None:
        for each in changes:
            written.extend((await registry.apply([each])).written)

    async with connected(double) as first, connected(double) as second:
        faults = [
            double.faults.arm(name, path=path, times=None, every=every)
            for path, name, every in FAILOVER_REPLIES
        ]
        registries = [ArangoInstrumentRegistry(each) for each in (first, second)]
        async with anyio.create_task_group() as group:
            for registry in registries:
                group.start_soon(apply_all, registry)
        double.faults.clear()

        assert sum(fault.fired for fault in faults) > len(changes)
        assert sorted(map(str, written)) == sorted(map(str, changes))
        assert sorted(map(str, await logged(registries[0]))) == sorted(map(str, changes))
        assert [row.version for row in await registries[0].rows()] == [4, 4]
