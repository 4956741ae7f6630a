"""What is not known here is reported once."""

from msgspec.structs import replace

from chimera_s1.app.capabilities.execution.unknown_reports import UnknownReports
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.unit.domain.execution.test_observation import said, trade


def test_each_unknown_word_is_reported_once() -> None:
    events: list[tuple[str, EventDetail]] = []
    unknown = UnknownReports(lambda kind, detail: events.append((kind, detail)))
    odd = replace(said("HALTED", 0, 1), type="ICEBERG", side="LEND", position_side="NET")
    for _ in range(2):
        unknown.notice(odd, "ours")
        unknown.notice(said("NEW", 0, 1), "ours")
        unknown.notice(replace(trade("1"), side="LEND"), "ours")
    assert events == [
        ("execution.status_unknown", {"status": "HALTED", "client_order_id": odd.client_id}),
        ("execution.side_unknown", {"side": "LEND", "client_order_id": odd.client_id}),
        (
            "execution.position_side_unknown",
            {"position_side": "NET", "client_order_id": odd.client_id},
        ),
        ("execution.type_unknown", {"type": "ICEBERG", "client_order_id": odd.client_id}),
    ]
