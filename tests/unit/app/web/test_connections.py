"""The connections of the HTTP server: whose turn it is to end, and how many there may be."""

import pytest

from chimera_s1.app.cli.doctor.check_result import CheckGrade
from chimera_s1.app.cli.doctor.checks import check_open_files
from chimera_s1.app.web.connections import (
    CONNECTIONS_FEWEST,
    CONNECTIONS_MAX,
    OTHER_FILES,
    CloseReason,
    Connections,
    connections_max,
    connections_source,
)
from chimera_s1.domain.errors import ConfigurationError


class FakeConnection:
    def __init__(self, idle_since: float | None = None, stuck_since: float | None = None) -> None:
        self.idle_since = idle_since
        self.stuck_since = stuck_since
        self.ended: list[CloseReason] = []

    def end_overdue(self, now: float) -> None:
        """No deadline."""

    def end(self, reason: CloseReason) -> None:
        self.ended.append(reason)


def full(*open_ones: FakeConnection) -> Connections:
    connections = Connections(len(open_ones))
    assert all(connections.admit(each) for each in open_ones)
    return connections


def test_the_longest_idle_one_ends_first() -> None:
    busy, younger, older = FakeConnection(), FakeConnection(5.0), FakeConnection(3.0)
    connections = full(busy, younger, older)

    assert connections.admit(FakeConnection(9.0))

    assert (busy.ended, younger.ended, older.ended) == ([], [], [CloseReason.DISPLACED])
    assert connections.count == 3


def test_without_an_idle_one_the_longest_stuck_one_ends() -> None:
    busy, younger, older = FakeConnection(), FakeConnection(None, 5.0), FakeConnection(None, 3.0)
    connections = full(busy, younger, older)

    assert connections.admit(FakeConnection(9.0))

    assert (busy.ended, younger.ended, older.ended) == ([], [], [CloseReason.DISPLACED])


def test_where_all_are_busy_the_new_one_is_refused() -> None:
    busy = FakeConnection()
    connections = full(busy)

    assert not connections.admit(FakeConnection(9.0))

    assert (connections.count, busy.ended) == (1, [])
    assert connections.closed == {CloseReason.FULL: 1}


@pytest.mark.parametrize(
    ("open_files", "maximum", "grade"),
    [
        (65_536, CONNECTIONS_MAX, CheckGrade.OK),
        (CONNECTIONS_MAX + OTHER_FILES, CONNECTIONS_MAX, CheckGrade.OK),
        (CONNECTIONS_MAX + OTHER_FILES - 1, CONNECTIONS_MAX - 1, CheckGrade.WARN),
        (CONNECTIONS_FEWEST + OTHER_FILES, CONNECTIONS_FEWEST, CheckGrade.WARN),
    ],
)
def test_the_maximum_leaves_files_to_the_rest(
    open_files: int, maximum: int, grade: CheckGrade
) -> None:
    assert connections_max(open_files) == maximum
    checked = check_open_files(open_files)
    assert (checked.grade, f"{maximum} HTTP connections" in checked.detail) == (grade, True)
    assert ("LimitNOFILE=" in checked.remedy) == (grade is CheckGrade.WARN)


def test_too_few_files_stop_the_start_and_name_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"may open 319 files and needs 320; .*ulimit -n"):
        connections_max(CONNECTIONS_FEWEST + OTHER_FILES - 1)

    checked = check_open_files(CONNECTIONS_FEWEST + OTHER_FILES - 1)
    assert (checked.grade, "LimitNOFILE=" in checked.detail) == (CheckGrade.FAIL, True)


def test_metrics_name_the_reasons() -> None:
    connections = Connections(40)
    connections.closed[CloseReason.IDLE] += 2

    samples = {(each.name, each.labels): each.value for each in connections_source(connections)()}

    assert samples == {
        ("s1_http_connections", ()): 0,
        ("s1_http_connections_max", ()): 40,
        ("s1_http_requests_busy_total", ()): 0,
        ("s1_http_connections_closed_total", (("reason", "idle"),)): 2,
    }
