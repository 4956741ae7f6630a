"""What a month of funding costs to store: `make bench-funding`.

A process of its own writes a month of all contracts in batches, into a SQLite file or into the
ArangoDB double, which runs beside it. The baseline writes the first of these records one by one, in
the same run. Figures are printed, one a line; nothing is asserted.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.arango.database import connect_arango
from chimera_s1.adapters.arango.funding_store import ArangoFundingStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.funding_store import SqliteFundingStore
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import FundingChange, FundingStore
from tests.arango_double import arango_double
from tests.load.machine import describe, divide_cores
from tests.load.report import say

START: Final = 1_772_496_000_000
HOUR_MS: Final = 3_600_000
CONTRACTS: Final = 930
INTERVALS_H: Final = (8, 4, 4, 4, 4)
"""Of five contracts: 168 settlements a month on average."""
BATCH: Final = 1_000
BASELINE_ROWS: Final = 2_000


class Figures(Struct, frozen=True):
    """Attributes:
    peak_mib: Resident memory above that before the first batch.
    """

    rows: int
    seconds: float
    cpu_s: float
    peak_mib: float

    @property
    def rows_s(self) -> float:
        return self.rows / self.seconds


def history(days: int) -> Iterator[FundingRecord]:
    """By time, as the exchange's pages come."""
    for hour in range(0, days * 24, 4):
        for number in range(CONTRACTS):
            interval_h = INTERVALS_H[number % len(INTERVALS_H)]
            if hour % interval_h == 0:
                time_ms = START + hour * HOUR_MS + number % 7
                yield FundingRecord(
                    key=SettlementKey(time_ms, Symbol(f"C{number:04d}USDT"), REGULAR),
                    rate=Decimal(hour * 7 + number).scaleb(-8),
                    mark_price=Decimal(number * 1_000 + hour).scaleb(-4),
                    interval_h=interval_h,
                    content_hash=f"{hour * CONTRACTS + number:064x}",
                    first_seen_at=START,
                )


async def measure(store: FundingStore, records: Iterator[FundingRecord], batch: int) -> Figures:
    before_mib = _peak_mib()
    rows, started_s, started_cpu_s = 0, time.monotonic(), time.process_time()
    while some := list(islice(records, batch)):
        result = await store.write([FundingChange(each, announce=False) for each in some])
        rows += len(result.written)
    return Figures(
        rows,
        time.monotonic() - started_s,
        time.process_time() - started_cpu_s,
        _peak_mib() - before_mib,
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@asynccontextmanager
async def opened_store(place: str) -> AsyncIterator[FundingStore]:
    if place.startswith("http"):
        async with connect_arango(
            [place], user="root", read_password=str, database="chimera"
        ) as arango:
            yield ArangoFundingStore(arango)
    else:
        async with SqliteDatabase(Path(place)) as sqlite:
            yield SqliteFundingStore(sqlite)


async def run_in_process(place: str, days: int, rows: int, batch: int) -> None:
    async with opened_store(place) as store:
        figures = await measure(store, islice(history(days), rows), batch)
    say(msgspec.json.encode(figures).decode())


def run_process(place: str, days: int, rows: int, batch: int) -> Figures:
    arguments = ["--place", place, "--days", str(days), "--rows", str(rows), "--batch", str(batch)]
    done = subprocess.run(  # this program
        [sys.executable, "-m", "tests.load.funding_history", *arguments],
        check=True,
        stdout=subprocess.PIPE,
    )
    return msgspec.json.decode(done.stdout, type=Figures)


def print_figures(store: str, places: tuple[str, str], days: int) -> None:
    """Of *store* at the first place for the baseline, and at the second for all rows."""
    total = sum(1 for _ in history(days))
    single = run_process(places[0], days, BASELINE_ROWS, 1)
    batched = run_process(places[1], days, total, BATCH)
    if (single.rows, batched.rows) != (BASELINE_ROWS, total):
        say(f"{store}: not measured: {batched.rows} of {total} rows were written")
    say(f"{store}, rows: {batched.rows}")
    say(f"{store}, baseline, row by row: {single.rows_s:,.0f} rows/s")
    say(f"{store}, batches of {BATCH}: {batched.rows_s:,.0f} rows/s")
    say(f"{store}, ratio to the baseline: {batched.rows_s / single.rows_s:.1f}")
    say(f"{store}, CPU time of a row: {batched.cpu_s / batched.rows * 1e6:.0f} us")
    say(f"{store}, peak memory above the start: {batched.peak_mib:.1f} MiB")


def bench(days: int) -> None:
    say(describe(divide_cores()))
    with TemporaryDirectory() as directory:
        one, all_rows = (str(Path(directory) / name) for name in ("one.sqlite3", "all.sqlite3"))
        print_figures("SQLite", (one, all_rows), days)
        size = Path(all_rows).stat().st_size
        say(f"SQLite, size of the file: {size / 2**20:.1f} MiB")
    with arango_double() as first, arango_double() as second:
        print_figures("ArangoDB double", (first.urls[0], second.urls[0]), days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--place", default="", help="of one store; used by this program itself")
    parser.add_argument("--rows", type=int, default=BASELINE_ROWS)
    parser.add_argument("--batch", type=int, default=BATCH)
    arguments = parser.parse_args()
    if arguments.place:
        anyio.run(run_in_process, arguments.place, arguments.days, arguments.rows, arguments.batch)
    else:
        bench(arguments.days)


if __name__ == "__main__":
    main()
