"""What the treasury adds to the ledger engine: commit listeners, stored names, relayed fields."""

from collections.abc import Iterable

import pytest

from chimera_s1.domain.treasury.events import (
    CapReserved,
    TransferRejected,
    TransferRequested,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.transfer import Transfer
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
FIELDS = {
    *("seq", "position", "ledger", "hash", "stream", "version", "actor"),
    *("transfer_id", "direction", "amount", "amount_usdt", "reason", "mode", "fingerprint"),
    *("accepted_at", "day", "directions", "min", "max", "daily_cap"),
}


class Listener:
    """Records its calls."""

    def __init__(self) -> None:
        self.commits: list[tuple[list[type[TreasuryEvent]], str]] = []

    def __call__(self, events: Iterable[TreasuryEvent], transfer: Transfer | None) -> None:
        assert transfer is not None
        self.commits.append(([type(event) for event in events], transfer.transfer_id))


@on_virtual_time
async def test_listener_is_called_for_own_commits_only() -> None:
    world = TreasuryHarness()
    first, second = TreasuryInstance(world), TreasuryInstance(world)
    listeners = Listener(), Listener()
    first.ledger.subscribe(listeners[0])
    second.ledger.subscribe(listeners[1])
    await first.requests.accept(transfer_request("t1"), "tester")
    await second.requests.accept(transfer_request("t1"), "tester")
    await second.requests.accept(transfer_request("t2", 100_000), "tester")
    await first.ledger.catch_up()

    assert listeners[0].commits == [([TransferRequested, CapReserved], "t1")]
    assert listeners[1].commits == [([TransferRejected], "t2")]


@on_virtual_time
async def test_commits_are_logged_by_the_instance_that_wrote_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    world = TreasuryHarness()
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
    await TreasuryInstance(world).ledger.catch_up()

    assert [text.partition(": ")[2][:8] for text in caplog.messages] == ["accepted", "done: th"]


@on_virtual_time
async def test_stored_cursor_names_are_those_of_earlier_versions() -> None:
    """Under another name, a ledger would be relayed and projected from its beginning again."""
    world = TreasuryHarness()
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("t1"), "tester")
    for _ in range(3):
        await one.relay.advance()
        await one.projector.advance()
        await world.clock.sleep_ms(2 * MINUTE_MS)

    assert world.cursors.seqs == {
        "ops:events": 1,
        "ops:events/settled": 1,
        "treasury_transfers/v2": 1,
    }


@on_virtual_time
async def test_relayed_event_keeps_its_fields_and_has_seq_and_position() -> None:
    world = TreasuryHarness()
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("t1", "12.50", why="margin"), "tester")
    await one.relay.advance()
    requested, reserved = world.operations.events

    assert requested.kind == "treasury.transfer.requested"
    assert set(requested.detail) == FIELDS
    assert requested.detail["seq"] == requested.detail["position"] == 1
    assert requested.detail["amount"] == "12.5"
    assert requested.detail["amount_usdt"] == 12.5
    assert reserved.detail["amount_usdt"] == 12.5
