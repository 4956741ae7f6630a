"""The table and the chart that `funding show` prints in a terminal."""

from decimal import Decimal
from io import StringIO

from msgspec import structs
from rich.console import Console

from chimera_s1.app.cli.funding.service_records import RecordRow
from chimera_s1.app.cli.funding.show import ROWS_SHOWN, print_for_people
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL

HOUR_MS = 3_600_000
START = 1_793_923_200_000  # 2026-11-06T00:00Z
ROW = RecordRow(
    funding_time=START,
    rate_type=REGULAR,
    interval_h=8,
    rate=Decimal("0.0001"),
    rate_est=Decimal("0.00015"),
    amount_usdt=Decimal("-1234567.12345678"),
    disputed=False,
)
LARGEST = structs.replace(
    ROW, rate=Decimal("-0.75"), rate_est=Decimal("0.75"), interval_h=1, disputed=True
)


def shown(rows: list[RecordRow], through: int | None = START) -> str:
    output = StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None)
    print_for_people(console, rows, through)
    return output.getvalue()


def test_a_row_has_rate_a_year_estimate_and_amount() -> None:
    cells = shown([ROW]).splitlines()[3].split()

    assert cells == ["11-06", "00:00", "0.010000", "10.95", "0.5000", "-1234567.1235"]


def test_what_is_not_known_is_empty() -> None:
    unknown = structs.replace(ROW, interval_h=None, rate_est=None, amount_usdt=None)

    assert shown([unknown]).splitlines()[3].split() == ["11-06", "00:00", "0.010000"]


def test_the_largest_values_fit_80_columns() -> None:
    special = structs.replace(LARGEST, rate_type=SPECIAL)
    lines = shown([ROW, LARGEST, special]).splitlines()

    assert max(map(len, lines)) <= 80
    assert {"Special", "disputed"} <= {word for line in lines for word in line.split()}
    assert any(line.startswith("-75.0000 %") for line in lines)


def test_the_table_has_the_last_rows_and_the_sums_all() -> None:
    rows = [structs.replace(ROW, funding_time=START + at * 8 * HOUR_MS) for at in range(30)]

    lines = shown(rows).splitlines()

    assert sum("0.010000" in line for line in lines) == ROWS_SHOWN
    assert lines[-2:] == [
        "settlements: 30, sum of rates 0.300000 %; -37037013.7037 USDT in 30 of them",
        "verified through: 11-06 00:00",
    ]


def test_a_history_that_is_not_verified_says_so() -> None:
    assert shown([ROW], None).splitlines()[-1] == "verified through: nothing yet"
