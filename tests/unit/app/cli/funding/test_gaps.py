"""What `funding gaps` prints and exits with, for a reply of the service."""

from io import StringIO
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from chimera_s1.app.cli import application
from chimera_s1.app.cli.funding import gaps
from chimera_s1.app.cli.funding.gaps import (
    DisputeRow,
    GapRow,
    Gaps,
    exit_code,
    gap_counts,
    verify_exit_code,
)

HOUR_MS = 3_600_000
START = 1_793_923_200_000
WELL = Gaps(
    searched_from=START,
    verified_through=START + 24 * HOUR_MS,
    contracts=50,
    not_verified=0,
    not_published=0,
    disputed=0,
    gaps=(),
    disputes=(),
)
NOTHING_VERIFIED = structs.replace(WELL, contracts=0, verified_through=None)
LONGEST = "1000000" + "币安人生" * 3 + "USDT"
GAP = GapRow(LONGEST, "not_published", START, START + HOUR_MS)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (WELL, 0),
        (structs.replace(WELL, not_published=1, gaps=(GAP,)), 1),
        (structs.replace(WELL, disputed=1), 0),
        (NOTHING_VERIFIED, 2),
        (structs.replace(NOTHING_VERIFIED, not_published=1, gaps=(GAP,)), 2),
    ],
)
def test_exit_code_says_none_some_or_not_known(found: Gaps, code: int) -> None:
    assert exit_code(found) == code


def test_a_disputed_record_is_no_gap_and_yet_a_difference() -> None:
    disputed = structs.replace(WELL, disputed=1)

    assert (exit_code(disputed), verify_exit_code(disputed)) == (0, 1)
    assert (exit_code(WELL), verify_exit_code(WELL)) == (0, 0)


def test_of_a_settlement_that_has_gone_nothing_was_found() -> None:
    row = DisputeRow("BTCUSDT", START, "Regular", "funding_time", str(START), "", START + HOUR_MS)

    assert gaps.describe_dispute(row) == (
        "disputed: BTCUSDT 2026-11-06 00:00:00 Regular: funding_time 1793923200000 is stored, "
        "nothing was found 2026-11-06 01:00:00"
    )


def test_table_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    output = StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(gaps, "stdout_console", lambda: console)

    gaps.print_gap_rows([GAP])

    text = output.getvalue()
    assert "2026-11-06 00:00:00" in text
    assert "not_published" in text
    assert max(map(len, text.splitlines())) <= 80


def test_each_kind_of_gap_is_counted_with_what_to_do() -> None:
    """Of more gaps than are shown; a kind without gaps is not named."""
    found = structs.replace(WELL, not_verified=1, not_published=2, gaps=(GAP,))

    lines = gap_counts(found)

    assert lines[0] == "3 gaps; the first 1 are shown, --symbol shows those of one contract"
    assert [line.partition(":")[0] for line in lines[1:]] == ["1 not_verified", "2 not_published"]
    assert len(gap_counts(structs.replace(found, not_verified=0))) == 2
    assert gap_counts(WELL) == []
    assert max(map(len, lines)) <= 80


def test_without_a_service_gaps_are_not_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """1 would say that there are some."""
    monkeypatch.delenv("S1_TOKEN", raising=False)
    monkeypatch.setenv("S1_STATE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        application.run_command(["funding", "gaps", "--url", "http://127.0.0.1:1"])

    assert ended.value.code == 2
    assert "error: no token for http://127.0.0.1:1" in capsys.readouterr().err
