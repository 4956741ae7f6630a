"""Levels and sentences of orders and private streams."""

import pytest
from msgspec.structs import replace

from chimera_s1.domain.execution.order_health import OrdersReport, PrivateStreamReport
from chimera_s1.domain.operations.health import Level

ORDERS = OrdersReport(
    ledger_damage="",
    store_error="",
    unrecorded="",
    working=1,
    unknown=0,
    oldest_unknown_ms=0,
    oldest_unknown="",
    unprovable=0,
    lookup_error="",
    query_error="",
    late_queries=0,
)
STREAM = PrivateStreamReport(
    connected=True,
    proven=True,
    problem="",
    silent_ms=4_000,
    reconnects=0,
    renewals=0,
    record_error="",
    waiting=0,
    dropped=0,
    overflowing=False,
)


@pytest.mark.parametrize(
    ("report", "level", "says"),
    [
        (ORDERS, Level.GREEN, "1 working order, 0 with an unknown outcome"),
        (replace(ORDERS, unknown=1, oldest_unknown_ms=15_000), Level.GREEN, "1 with an unknown"),
        (
            replace(ORDERS, unknown=1, oldest_unknown_ms=16_000, oldest_unknown="s1-a"),
            Level.ORANGE,
            "the outcome of s1-a has been unknown for 16 s",
        ),
        (replace(ORDERS, unrecorded="disk full"), Level.ORANGE, "disk full"),
        (replace(ORDERS, late_queries=7), Level.YELLOW, "working orders: 7"),
        (replace(ORDERS, query_error="418"), Level.YELLOW, "418"),
        (replace(ORDERS, relay_error="refused"), Level.ORANGE, "orders:executed (refused)"),
        (replace(ORDERS, store_error="refused"), Level.RED, "no order can be placed"),
        (replace(ORDERS, ledger_damage="commit 3"), Level.RED, "commit 3"),
        (STREAM, Level.GREEN, "connected, last event 4 s ago"),
        (replace(STREAM, proven=False, silent_ms=None), Level.GREEN, "no event yet"),
        (replace(STREAM, connected=False, problem="410"), Level.ORANGE, "not connected (410)"),
        (replace(STREAM, reconnects=2, renewals=1), Level.GREEN, "2 reconnects, 1 of a deaf"),
        (replace(STREAM, waiting=9, overflowing=True), Level.ORANGE, "9 reports wait"),
        (replace(STREAM, dropped=3), Level.GREEN, "3 reports dropped"),
        (replace(STREAM, record_error="refused"), Level.ORANGE, "check the ledger's store"),
    ],
)
def test_the_level_and_the_sentence_say_what_is_wrong(
    report: OrdersReport | PrivateStreamReport, level: Level, says: str
) -> None:
    assert report.level is level
    assert says in report.sentence


def test_only_what_loses_nothing_has_time() -> None:
    assert replace(STREAM, connected=False).grace_ms > 0
    assert replace(STREAM, overflowing=True).grace_ms == 0
    assert replace(ORDERS, relay_error="refused").grace_ms > 0
    assert replace(ORDERS, relay_error="refused", unrecorded="disk full").grace_ms == 0
