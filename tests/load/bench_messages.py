"""The price of a message: bare receivers as baselines, then the whole service under the
same load.
"""

from msgspec import Struct

from tests.load.measuring import Figures, receiver_figures, service_figures, watch
from tests.load.report import Row
from tests.load.running import child
from tests.load.stage import Stage

SYMBOLS = 200
PEERS_US = (43, 54)
"""CPU time of a message in other open source connectors, measured on another day; for
orientation.
"""

ACCOUNT_US = 2.0
FLOW_PER_S = 400_000
TICK_MS = 10
SHARES = {5_000: 0.04, 20_000: 0.08}


class Bare(Struct, frozen=True):
    """A baseline: a receiver and its load."""

    what: str
    rate: int
    read_ms: int = 0
    decode: bool = False

    @property
    def optional(self) -> bool:
        """Whether it is left out where it has to be quick."""
        return self.read_ms > TICK_MS or (self.decode and self.rate > 0)


NEWEST = Bare("newest bytes, unpaced", 0)
DECODED = Bare("every message decoded (orjson), unpaced", 0, decode=True)
BASELINES = (
    NEWEST,
    Bare("newest bytes, 5,000/s", 5_000),
    Bare("newest bytes, 5,000/s, read every 10 ms", 5_000, 10),
    Bare("newest bytes, 5,000/s, read every 50 ms", 5_000, 50),
    Bare("newest bytes, 20,000/s", 20_000),
    Bare("newest bytes, 20,000/s, read every 10 ms", 20_000, 10),
    Bare("newest bytes, 20,000/s, read every 50 ms", 20_000, 50),
    DECODED,
    Bare("every message decoded (orjson), 5,000/s", 5_000, decode=True),
)


async def bench_messages(stage: Stage) -> None:
    """Print both tables."""
    chosen = BASELINES if not stage.quick else [each for each in BASELINES if not each.optional]
    bare = {each.what: await _baseline(stage, each) for each in chosen}
    stage.report.table(
        f"A message, bare receivers (baselines), {SYMBOLS} symbols",
        [Row(what, _text(figures)) for what, figures in bare.items()],
    )
    rows: list[Row] = []
    for rate in (0, *SHARES):
        rows += _judge(rate, await _service(stage, rate), bare)
    stage.report.table(
        f"A message, the whole service, window 1000 ms, {SYMBOLS} symbols",
        rows,
        f"Peers, measured elsewhere: {PEERS_US[0]} to {PEERS_US[1]} us a message (orientation).",
    )


async def _baseline(stage: Stage, bare: Bare) -> Figures:
    options = ["--read-ms", str(bare.read_ms), "--period", str(stage.seconds(1.5))]
    options += ["--decode"] * bare.decode
    async with (
        stage.rig.sender(SYMBOLS, bare.rate) as port,
        child(
            stage.rig.cores.service[0],
            "tests.load.receiver",
            *("--port", str(port), "--symbols", str(SYMBOLS), *options),
        ) as receiver,
    ):
        return await receiver_figures(receiver, stage.times(3))


async def _service(stage: Stage, rate: int) -> Figures:
    async with (
        stage.rig.sender(SYMBOLS, rate) as port,
        stage.rig.service(port) as service,
    ):
        # 1000 ms windows: whole ones, so that each stretch publishes as often.
        return service_figures(await watch(service, stage.times(5), stage.seconds(2)))


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
            f"{figures.us_per_message / bare[NEWEST.what].us_per_message:.2f} x",
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
