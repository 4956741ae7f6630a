"""Cost of a stream entry for the writing process: our writer and the official client.

Both write the same quotes to the same cluster in turn. CPU time is that of the whole process:
encoding, sockets, replies, the event loop.
"""

import random
import time
from collections.abc import Sequence
from itertools import count
from statistics import median

from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from tests.load.bench_context import BenchContext
from tests.load.figures import NothingMeasuredError

BATCHES = (100, 300, 1000)
ENTRIES = 15_000
ROUNDS = 7
MASTERS = 3
MAXLEN = 10_000
WINDOW = WindowMs(1000)

_windows = count(1)
"""Both writers write the same streams: each window is new to them."""

Writer = NodeQuotePublisher | OfficialQuotePublisher


class Cost(Struct, frozen=True):
    """CPU time of this process and elapsed time per entry, microseconds."""

    cpu_us: float
    wall_us: float


def quotes_of(streams: int, update: int) -> list[Quote]:
    """One realistic quote for each of *streams* instruments."""
    return [
        Quote(
            instrument=InstrumentId(Venue.SPOT, Symbol(f"W{number:04d}USDT")),
            ts=1_772_514_460_893 + update,
            bid=(6_740_381 + update % 997 + number) / 100,
            bid_qty=(125_133 + number % 89) / 100_000,
            ask=(6_740_392 + update % 997 + number) / 100,
            ask_qty=(250_266 + number % 83) / 100_000,
            source="binance.spot.bookTicker",
            update_id=update,
            received_ms=1_772_514_460_893 + update * 1000,
        )
        for number in range(streams)
    ]


async def cost(writer: Writer, streams: int, entries: int) -> Cost:
    """Write *entries* entries in sequential batches of *streams*."""
    batches = [quotes_of(streams, next(_windows)) for _ in range(max(1, entries // streams))]
    wall, cpu = time.perf_counter(), time.process_time()
    published = 0
    for batch in batches:
        published += (await writer.publish(batch)).published
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if published != streams * len(batches):
        raise NothingMeasuredError(f"{published} of {streams * len(batches)} entries acknowledged")
    return Cost(cpu / published * 1e6, wall / published * 1e6)


async def compare(
    addresses: Sequence[RedisAddress], streams: int, rounds: int, entries: int
) -> tuple[Cost, Cost]:
    """Median costs of the official client and of our writer."""
    async with (
        connect_cluster(addresses) as one,
        connect_cluster(addresses) as other,
        OfficialQuotePublisher(one, maxlen=MAXLEN, window=WINDOW) as official,
        _node_writer(other) as node,
    ):
        costs: dict[Writer, list[Cost]] = {official: [], node: []}
        for writer in costs:
            await cost(writer, streams, streams * 3)
        for _ in range(rounds):
            for writer, measured in costs.items():
                measured.append(await cost(writer, streams, entries))
    return _medians(costs[official]), _medians(costs[node])


async def bench_writers(bench: BenchContext) -> None:
    head = ("streams in a batch", "official", "ours", "ratio", "official, entries/s", "ours")
    lines: list[Sequence[str]] = [head]
    for streams in BATCHES:
        official, node = await compare(
            bench.redis.addresses, streams, bench.times(ROUNDS), int(bench.seconds(5) * ENTRIES / 5)
        )
        lines.append(
            (
                str(streams),
                f"{official.cpu_us:.1f} us",
                f"{node.cpu_us:.1f} us",
                f"{official.cpu_us / node.cpu_us:.1f}",
                f"{1e6 / official.wall_us:,.0f}",
                f"{1e6 / node.wall_us:,.0f}",
            )
        )
    bench.report.grid(
        "Writers: CPU of this process for one stream entry",
        lines,
        f"Medians of {bench.times(ROUNDS)}; {MASTERS} masters, nine fields, the numbers rendered "
        "each time.",
    )


def _node_writer(client: ClusterClient) -> NodeQuotePublisher:
    return NodeQuotePublisher(
        client, maxlen=MAXLEN, window=WINDOW, clock=SystemClock(), draw=random.random
    )


def _medians(costs: Sequence[Cost]) -> Cost:
    return Cost(median(each.cpu_us for each in costs), median(each.wall_us for each in costs))
