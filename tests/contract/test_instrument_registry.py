"""What every `InstrumentRegistry` does."""

from collections.abc import Sequence

import anyio
import msgspec
import pytest

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry, RecordedChange
from tests.contract.registry_harness import RegistryHarness
from tests.contract.registry_harnesses import registry, registry_harness
from tests.contract.registry_rows import (
    CHINESE,
    START,
    bare_row,
    change,
    change_to,
    full_row,
    instrument,
)
from tests.time_limits import TIMEOUT_S

__all__ = ["registry", "registry_harness"]

HELD = HeldRows(
    since=START,
    digest="a" * 64,
    status_class="TRADING",
    reason="40 of 100 rows would vanish",
    instruments=(instrument("BTCUSDT"), instrument(CHINESE)),
)


async def test_the_last_position_lies_behind_every_change_that_is_in_its_row(
    registry: InstrumentRegistry,
) -> None:
    assert await registry.last_position() == 0
    await registry.apply([change("BTCUSDT"), change("ETHUSDT")])
    position = await registry.last_position()
    assert position >= (await registry.changes())[-1].position

    await registry.apply([change("AUSDT")])

    assert versions([each.change for each in await registry.changes(after=position)]) == [
        ("AUSDT", 1)
    ]
    assert await registry.last_position() > position


async def all_changes(registry: InstrumentRegistry, page: int) -> list[RecordedChange]:
    """Read page by page, as a follower does."""
    found: list[RecordedChange] = []
    while some := await registry.changes(after=found[-1].position if found else 0, limit=page):
        assert len(some) <= page
        found += some
    return found


def versions(changes: Sequence[RegistryChange]) -> list[tuple[str, int]]:
    return [(each.row.instrument.symbol, each.row.version) for each in changes]


async def test_rows_read_back_as_they_were_written(
    registry_harness: RegistryHarness, registry: InstrumentRegistry
) -> None:
    """Every attribute, exact decimals, unknown filters; sorted; also in a later process."""
    rows = [full_row(CHINESE), full_row("BTCUSDT"), bare_row("BTCUSDT"), bare_row("AUSDT")]

    await registry.apply([change_to(row) for row in rows])

    for reader in (registry, await registry_harness.open()):
        ordered = (rows[1], rows[0], rows[3], rows[2])
        assert await reader.rows() == ordered
        assert await reader.rows(Venue.SPOT) == ordered[2:]
        assert await reader.find(instrument(CHINESE)) == rows[0]
        assert await reader.find(instrument("BTCUSDT", Venue.SPOT)) == rows[2]
        assert await reader.find(instrument("ETHUSDT")) is None


async def test_no_two_symbols_share_a_row(registry: InstrumentRegistry) -> None:
    """Whatever their characters, case and length, and however a store encodes them."""
    symbols = [
        *("A", "a", "=41", "%41", "A-1", "A_1", "A.1", "=E5=B8=81"),
        *("币", "幣", "币" * 63, "币" * 64, "é", "e\u0301", "\uff41", "\U0001f680"),
    ]

    await registry.apply([change(symbol) for symbol in symbols])

    assert {row.instrument.symbol for row in await registry.rows()} == set(symbols)
    for symbol in symbols:
        assert await registry.find(instrument(symbol)) == full_row(symbol)


async def test_each_change_is_written_once(registry: InstrumentRegistry) -> None:
    """A version that is not above the newest one is skipped, whatever it says."""
    first = await registry.apply([change("A"), change("B"), change("A", 2)])
    again = await registry.apply(
        [change("A"), change("B", updated_at=START + 99), change("B", 2), change("A", 2)]
    )

    assert versions(first.written) == [("A", 1), ("B", 1), ("A", 2)]
    assert versions(again.written) == [("B", 2)]
    assert (first.refused, again.refused) == ((), ())
    recorded = await registry.changes()
    assert [each.change for each in recorded] == [*first.written, *again.written]
    assert await registry.rows() == (full_row("A", 2), full_row("B", 2))


async def test_nothing_to_apply(registry: InstrumentRegistry) -> None:
    assert (await registry.apply([])).written == ()
    await registry.mark_checked([], START)

    assert await registry.rows() == ()
    assert await registry.changes() == ()


async def test_checked_at_only_moves_forward(registry: InstrumentRegistry) -> None:
    """Also when an older read brings a change; and no other attribute moves."""
    await registry.apply([change("A"), change("B")])
    late, later = START + 1_000, START + 2_000

    await registry.mark_checked([instrument("A"), instrument("UNKNOWN")], late)
    await registry.mark_checked([instrument("A")], late - 1)
    assert await registry.rows() == (full_row("A", checked_at=late), full_row("B"))
    await registry.apply([change("A", 2), change("B", 2, checked_at=later)])

    expected = (full_row("A", 2, checked_at=late), full_row("B", 2, checked_at=later))
    assert await registry.rows() == expected


async def test_a_newer_version_leaves_nothing_of_the_older_one(
    registry: InstrumentRegistry,
) -> None:
    """An object within a row is replaced, not merged."""
    old = full_row("A")
    assert old.content.leverage_brackets is not None
    brackets = msgspec.structs.replace(
        old.content.leverage_brackets, notional_coef=None, brackets=()
    )
    content = msgspec.structs.replace(old.content, leverage_brackets=brackets, risk=None)
    new = full_row("A", 2, content=content)

    await registry.apply([change_to(old)])
    await registry.apply([change_to(new)])

    assert await registry.find(instrument("A")) == new


@pytest.mark.parametrize("page", [1, 3, 1_000])
async def test_a_follower_reads_each_change_once_in_order(
    registry_harness: RegistryHarness, registry: InstrumentRegistry, page: int
) -> None:
    names = [f"S{number}" for number in range(7)]
    await registry.apply([change(name) for name in names])
    await registry.apply([change("S3", 2), change("S1", 2)])

    later = await registry_harness.open()
    found = await all_changes(later, page)

    assert versions([each.change for each in found]) == [
        *((name, 1) for name in names),
        ("S3", 2),
        ("S1", 2),
    ]
    positions = [each.position for each in found]
    assert positions == sorted(set(positions))
    assert positions[0] > 0


async def test_changes_since_a_time(registry: InstrumentRegistry) -> None:
    """The time is that of the change, so it may go back between positions."""
    changes = [change("A", updated_at=START + 5), change("B", updated_at=START + 3)]
    await registry.apply([*changes, change("C", updated_at=START + 9)])

    async def names(since: int, after: int = 0, limit: int = 9) -> str:
        found = await registry.changes(since=since, after=after, limit=limit)
        return "".join(each.change.row.instrument.symbol for each in found)

    assert await names(START + 5) == "AC"
    assert await names(START + 3, limit=2) == "AB"
    assert await names(START + 10) == ""
    first = (await registry.changes(limit=1))[0].position
    assert await names(START + 4, after=first) == "C"


async def test_one_refused_row_does_not_lose_the_others(
    registry_harness: RegistryHarness, registry: InstrumentRegistry
) -> None:
    """It is named with the store's reason, each time."""
    registry_harness.refuse(instrument("BAD"))

    for version in (1, 2):
        applied = await registry.apply(
            [change("A", version), change("BAD", version), change("C", version)]
        )
        assert {each.change.row.instrument.symbol for each in applied.refused} == {"BAD"}
        assert all(each.reason for each in applied.refused)
        assert await registry.rows() == (full_row("A", version), full_row("C", version))
        assert await registry.find(instrument("BAD")) is None


async def test_of_instances_that_apply_at_once_one_writes_each_change(
    registry_harness: RegistryHarness, registry: InstrumentRegistry
) -> None:
    """A follower that reads meanwhile misses none and reads none twice."""
    registries = [registry, await registry_harness.open_another()]
    follower = await registry_harness.open_another()
    changes = [change(f"S{number % 3}", number // 3 + 1) for number in range(12)]
    written: list[RegistryChange] = []
    followed: list[RecordedChange] = []

    async def apply(registry: InstrumentRegistry) -> None:
        for each in changes:
            written.extend((await registry.apply([each])).written)

    async def follow() -> None:
        while len(followed) < len(changes):
            after = followed[-1].position if followed else 0
            followed.extend(await follower.changes(after=after, limit=4))

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            for each in registries:
                group.start_soon(apply, each)

    assert sorted(versions(written)) == sorted(versions(changes))
    assert [each.change for each in followed] == [each.change for each in await registry.changes()]
    assert len(followed) == len(changes)
    assert {row.version for row in await registry.rows()} == {4}


async def test_held_rows_are_replaced_by_venue(
    registry_harness: RegistryHarness, registry: InstrumentRegistry
) -> None:
    other = msgspec.structs.replace(HELD, status_class="BREAK", instruments=())
    await registry.hold(Venue.PERP, [HELD])
    await registry.hold(Venue.SPOT, [other])
    await registry.hold(Venue.PERP, [HELD, other])

    later = await registry_harness.open()
    assert await later.held(Venue.PERP) == (HELD, other)
    assert await later.held(Venue.SPOT) == (other,)
    await later.hold(Venue.SPOT, [])
    assert await later.held(Venue.SPOT) == ()
