"""The limit of inbound messages."""

from chimera_s1.adapters.simulator.streams.connection_rules import InboundLimit


def test_inbound_messages_are_counted_over_any_second() -> None:
    limit = InboundLimit(5)

    assert not any(limit.exceeded(at) for at in (0, 200, 400, 600, 800))
    assert not limit.exceeded(1000)
    assert limit.exceeded(1001)
