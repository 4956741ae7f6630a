"""Executor and reconciler work only while their instance holds the lease."""

from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

POLL_MS = 500
MINUTE_MS = 60_000


@on_virtual_time
async def test_instance_without_the_leases_neither_sends_nor_reads() -> None:
    """It accepts the requests, so it knows each transfer first."""
    world = TreasuryHarness()
    world.gateway.history_lag_ms = MINUTE_MS // 2
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    idle = ScriptedTreasuryGateway(world.clock)
    async with running(TreasuryInstance(world)):
        await world.clock.sleep_ms(POLL_MS)
        async with running(TreasuryInstance(world, gateway=idle)) as other:
            for amount, name in enumerate(("t1", "t2"), start=10):
                await other.requests.accept(transfer_request(name, amount), "tester")
                await world.clock.sleep_ms(MINUTE_MS)

    assert len(world.gateway.sent_orders) == 2
    assert world.gateway.completed_reads
    assert (idle.sent_orders, idle.completed_reads) == ([], 0)
    assert not await world.violations()
