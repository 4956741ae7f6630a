"""Cost of a message: minimal receivers as baselines, then the service under the same load."""

from msgspec import Struct

from tests.load.bench_context import BenchContext
from tests.load.figures import Figures, receiver_figures, service_figures, watch
from tests.load.processes import child
from tests.load.report import Row

SYMBOLS = 200
PEERS_US = (43, 54)
"""CPU time per message of other open source connectors, from an earlier measurement; a guide only.
"""

ACCOUNT_US = 2.0
FLOW_PER_S = 400_000
TICK_MS = 10
SHARES = {5_000: 0.04, 20_000: 0.08}


class Baseline(Struct, frozen=True):
    what: str
    rate: int
    read_ms: int = 0
    decode: bool = False

    @property
    def optional(self) -> bool:
        """Whether a quick run skips it."""
        return self.read_ms > TICK_MS or (self.decode and self.rate > 0)


NEWEST_ONLY = Baseline("newest bytes, unpaced", 0)
DECODED = Baseline("every message decoded (orjson), unpaced", 0, decode=True)
BASELINES = (
    NEWEST_ONLY,
    Baseline("newest bytes, 5,000/s", 5_000),
    Baseline("newest bytes, 5,000/s, read every 10 ms", 5_000, 10),
    Baseline("newest bytes, 5,000/s, read every 50 ms", 5_000, 50),
    Baseline("newest bytes, 20,000/s", 20_000),
    Baseline("newest bytes, 20,000/s, read every 10 ms", 20_000, 10),
    Baseline("newest bytes, 20,000/s, read every 50 ms", 20_000, 50),
    DECODED,
    Baseline("every message decoded (orjson), 5,000/s", 5_000, decode=True),
)


async def bench_messages(bench: BenchContext) -> None:
    chosen = BASELINES if not bench.quick else [each for each in BASELINES if not each.optional]
    bare = {each.what: await _baseline(bench, each) for each in chosen}
    bench.report.table(
        f"A message, bare receivers (baselines), {SYMBOLS} symbols",
        [Row(what, _text(figures)) for what, figures in bare.items()],
    )
    rows: list[Row] = []
    for rate in (0, *SHARES):
        rows += _judge(rate, await _service(bench, rate), bare)
    bench.report.table(
        f"A message, the whole service, window 1000 ms, {SYMBOLS} symbols",
        rows,
        f"Peers, measured elsewhere: {PEERS_US[0]} to {PEERS_US[1]} us a message (orientation).",
    )


async def _baseline(bench: BenchContext, bare: Baseline) -> Figures:
    options = ["--read-ms", str(bare.read_ms), "--period", str(bench.seconds(1.5))]
    options += ["--decode"] * bare.decode
    async with (
        bench.rig.sender(SYMBOLS, bare.rate) as port,
        child(
            bench.rig.cores.service[0],
            "tests.load.receiver",
            *("--port", str(port), "--symbols", str(SYMBOLS), *options),
        ) as receiver,
    ):
        return await receiver_figures(receiver, bench.times(3))


async def _service(bench: BenchContext, rate: int) -> Figures:
    async with (
        bench.rig.sender(SYMBOLS, rate) as port,
        bench.rig.service(port) as service,
    ):
        # 1000 ms windows: whole ones, so that each interval publishes as often.
        return service_figures(await watch(service, bench.times(5), bench.seconds(2)))


def _judge(rate: int, figures: Figures, bare: dict[str, Figures]) -> list[Row]:
    if rate:
        target = SHARES[rate]
        least = bare[f"newest bytes, {rate:,}/s, read every 10 ms"]
        return [
            Row(
                f"{rate:,}/s: share of a core",
                f"{figures.share:.1%} ({figures.us_per_message:.1f} us a message)",
                f"at most {target:.0%}",
                figures.share <= target,
            ),
            Row(
                f"{rate:,}/s: against newest bytes, read every 10 ms",
                f"{figures.share / least.share:.1f} x",
            ),
        ]
    low, high = (peer / figures.us_per_message for peer in PEERS_US)
    return [
        Row(
            "unpaced: CPU a message",
            f"{figures.us_per_message:.2f} us",
            f"at most {ACCOUNT_US:g} us",
            figures.us_per_message <= ACCOUNT_US,
        ),
        Row(
            "unpaced: messages/s",
            f"{figures.messages_s:,.0f}",
            f"at least {FLOW_PER_S:,}",
            figures.messages_s >= FLOW_PER_S,
        ),
        Row(
            "unpaced: against newest bytes",
            f"{figures.us_per_message / bare[NEWEST_ONLY.what].us_per_message:.2f} x",
        ),
        Row(
            "unpaced: against decoding every message",
            f"{figures.us_per_message / bare[DECODED.what].us_per_message:.2f} x",
        ),
        Row("unpaced: peers against this", f"{low:.0f} to {high:.0f} x"),
        Row("unpaced: entries published/s", f"{figures.published_s:,.0f}"),
    ]


def _text(figures: Figures) -> str:
    return (
        f"{figures.us_per_message:6.2f} us, {figures.share:6.1%} of a core, "
        f"{figures.messages_s:,.0f}/s"
    )
