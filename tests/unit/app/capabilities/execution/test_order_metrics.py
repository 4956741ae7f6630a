"""The figures of orders and private streams."""

from chimera_s1.app.capabilities.execution.order_metrics import (
    ReadyConnections,
    connections_source,
    orders_source,
    private_streams_source,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import OutcomeUnknown
from tests.execution_harness import ENTRY, ExecutionHarness, ExecutionInstance, entry, running
from tests.fakes.order_exchange import Handling
from tests.virtual_time import on_virtual_time


@on_virtual_time
async def test_orders_and_streams_are_counted() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply=OutcomeUnknown(cause="reset")))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(2_000)
        await one.cancel()
        one.streams[Venue.PERP].send(*world.exchange.fill(ENTRY, "2", "t1"))
        await world.clock.sleep_ms(1_000)
        sources = (
            orders_source(one.ledger, one.placing, one.cancelling, one.recorder, one.resolver),
            private_streams_source(one.streams, one.following, one.queries),
        )
        samples = {
            (sample.name, *(text for _, text in sample.labels)): sample.value
            for source in sources
            for sample in source()
        }
    assert samples["s1_order_replies_total", "order", "OutcomeUnknown"] == 1
    assert samples["s1_order_replies_total", "cancel", "RequestAccepted"] == 1
    assert samples["s1_order_lookups_total", "found"] == 1
    assert samples["s1_orders", "acknowledged"] == 0
    assert samples["s1_private_stream_proven", "perp"] == 1
    assert samples["s1_private_stream_events_total", "perp"] == 2
    assert samples["s1_account_reports_recorded_total",] == 2


def test_ready_connections_are_counted_by_venue() -> None:
    read = connections_source(lambda: [ReadyConnections(Venue.PERP, 2, 7, 1)])

    counted = {(each.name, *(text for _, text in each.labels)): each.value for each in read()}

    assert counted == {
        ("s1_order_connections_ready", "perp"): 2,
        ("s1_order_connections_total", "perp", "ready"): 7,
        ("s1_order_connections_total", "perp", "dialed"): 1,
    }
