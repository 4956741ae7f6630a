"""Cost of the mark price stream for the process: about 930 rows each second.

CPU time of the whole process for one row: read, judged, and written where every rate changes. The
baseline decodes the same bytes with the standard library's `json`.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from statistics import median

from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.mark_prices import MarkPriceDecoder
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.funding_events import RedisFundingEvents
from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.funding.publish_estimates import estimate_event
from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.estimates import PublishedEstimates
from tests.load.bench_context import BenchContext
from tests.load.figures import NothingMeasuredError
from tests.load.report import Row

CONTRACTS = 930
ROUNDS = 50
WRITES = 15
MAXLEN = 10_000
EVENT_TIME = 1_772_505_380_000
FUNDING_TIME = 1_772_506_400_000


def message(second: int, *, bad_rows: int = 0) -> bytes:
    """As Binance sends it; *bad_rows* have a time that cannot be read."""
    rows = [
        {
            "e": "markPriceUpdate", "E": EVENT_TIME + second * 1_000, "s": f"M{number:04d}USDT",
            "p": "67794.15000000", "ap": "67790.10000000", "i": "67784.62659091",
            "P": "67784.25641265", "r": f"0.{38_167 + second + number:08d}",
            "T": "soon" if number < bad_rows else FUNDING_TIME, "st": 1,
        }
        for number in range(CONTRACTS)
    ]  # fmt: skip
    return json.dumps({"stream": "!markPrice@arr@1s", "data": rows}, separators=(",", ":")).encode()


def row_cost(times: int, measured: Callable[[int], object]) -> float:
    """Median CPU time of a row, us, of *times* calls with the number of each."""
    costs = []
    for number in range(times):
        start = time.process_time()
        measured(number)
        costs.append(time.process_time() - start)
    return median(costs) / CONTRACTS * 1e6


async def written_row_cost(times: int, write: Callable[[int], Awaitable[None]]) -> float:
    costs = []
    for number in range(times):
        start = time.process_time()
        await write(number)
        costs.append(time.process_time() - start)
    return median(costs) / CONTRACTS * 1e6


def judge(seconds: Sequence[Sequence[FundingEstimate]]) -> Iterator[int]:
    """Take each second as the use case does; how many are due."""
    latest, published = LatestEstimates(), PublishedEstimates()
    for number, estimates in enumerate(seconds):
        due = 0
        for each in latest.take(estimates).newer:
            if published.is_due(each, number * 1_000.0):
                published.record(each, number * 1_000.0)
                due += 1
        yield due


async def bench_estimates(bench: BenchContext) -> None:
    rounds, writes = bench.times(ROUNDS), bench.times(WRITES)
    payloads = [message(second) for second in range(rounds)]
    calm = [message(0)] * rounds
    damaged = [message(second, bad_rows=1) for second in range(rounds)]
    decoder = MarkPriceDecoder(RowReader(lambda _: None))
    seconds = [decoder.decode(payload) for payload in payloads]
    if sum(map(len, seconds)) != rounds * CONTRACTS:
        raise NothingMeasuredError("not every row was read")
    baseline = row_cost(rounds, lambda number: json.loads(payloads[number]))
    decoded = row_cost(rounds, lambda number: decoder.decode(payloads[number]))
    unchanged = row_cost(rounds, lambda number: decoder.decode(calm[number]))
    by_row = row_cost(rounds, lambda number: decoder.decode(damaged[number]))
    judging = judge(seconds)
    judged = row_cost(rounds, lambda _: next(judging))
    async with connect_cluster(bench.redis.addresses) as client:
        events = RedisFundingEvents(client, maxlen=MAXLEN)

        async def write(number: int) -> None:
            batch = [estimate_event(each) for each in seconds[number % rounds]]
            await events.publish(batch)

        await write(0)  # connections
        start = time.perf_counter()
        written = await written_row_cost(writes, write)
        wall_ms = (time.perf_counter() - start) / writes * 1e3
    per_second = (unchanged + judged) * CONTRACTS / 1e3
    bench.report.table(
        f"Estimates: CPU of this process for one row of {CONTRACTS}",
        [
            Row("`json.loads` of the message (baseline)", f"{baseline:.2f} us"),
            Row("decoded", f"{unchanged:.2f} us, {unchanged / baseline:.2f} of the baseline"),
            Row("decoded, where every rate has changed", f"{decoded:.2f} us"),
            Row("decoded row by row: a row of the message cannot be read", f"{by_row:.2f} us"),
            Row("judged: stale, settled, due", f"{judged:.2f} us"),
            Row("a second of the whole market, nothing to write", f"{per_second:.1f} ms of CPU"),
            Row("written (official client), where every rate changed", f"{written:.1f} us"),
            Row(f"the same, {CONTRACTS} entries", f"{wall_ms:.0f} ms elapsed"),
        ],
        f"Medians of {rounds} messages, and of {writes} writes to three masters.",
    )
