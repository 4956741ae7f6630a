"""What every `InstallationStore` does."""

import anyio

from chimera_s1.domain.ports.installation_store import InstallationFact
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet

ID, ACCOUNT = InstallationFact.ID, InstallationFact.ACCOUNT


async def test_a_fact_is_recorded_once(ledger_stores: StoreSet) -> None:
    """A second value is not recorded; another fact is."""
    assert await ledger_stores.installation.find(ID) == ""

    assert await ledger_stores.installation.record(ID, "a") == "a"
    assert await ledger_stores.installation.record(ID, "b") == "a"

    assert await ledger_stores.installation.record(ACCOUNT, "live:1") == "live:1"
    assert await ledger_stores.installation.find(ID) == "a"


async def test_concurrent_callers_get_the_same_value(ledger_stores: StoreSet) -> None:
    """As two instances do that open a new database at the same time."""
    recorded: list[str] = []

    async def record(value: str) -> None:
        recorded.append(await ledger_stores.installation.record(ID, value))

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(record, f"id-{number}")

    assert len(recorded) == 10
    assert set(recorded) == {await ledger_stores.installation.find(ID)}


async def test_facts_outlive_the_process(ledger_harness: LedgerHarness) -> None:
    first = await ledger_harness.open()
    await first.installation.record(ID, "a")

    second = await ledger_harness.open()

    assert await second.installation.record(ID, "b") == "a"
