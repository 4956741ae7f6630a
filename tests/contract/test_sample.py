"""The shipped recording: the same stream content each time, at any speed."""

from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.binance.recording import BinanceRecording
from chimera_s1.adapters.market_file import read_market_file
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.replay_recording import ReplayRecording
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.ports.quote_reader import PublishedQuote
from tests.time_limits import TIMEOUT_S

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "half-minute.jsonl.gz"
DIGEST = "8f2683c4015f7d40251fcb92ac6a45b9fc5ab44888dd810a9fbcbac0fb350b7b"

Content = dict[str, list[tuple[tuple[str, str], ...]]]


async def replayed(directory: Path, speed: float | None) -> tuple[str, Content]:
    """Replay the sample into a fresh Redis; its digest, and every stream's fields."""
    async with (
        EmbeddedRedis(directory, binary=find_redis_server()) as redis,
        connect_cluster([node.address for node in redis.nodes]) as writing,
        connect_cluster([node.address for node in redis.nodes]) as reading,
    ):
        recording = BinanceRecording(read_market_file(SAMPLE), WindowMs(1000))
        publisher = OfficialQuotePublisher(writing, maxlen=10_000, window=WindowMs(1000))
        replay = ReplayRecording(
            recording, publisher, clock=SystemClock(), window=WindowMs(1000), speed=speed
        )
        progress = await replay.run(lambda _: None)
        reader = RedisQuoteReader(reading)
        streams: dict[str, tuple[PublishedQuote, ...]] = {
            str(instrument): await reader.history(instrument, 1_000)
            for instrument in await reader.instruments()
        }
    content = {name: [entry.fields for entry in entries] for name, entries in streams.items()}
    return progress.digest, content


@pytest.mark.parametrize("speed", [None, 500.0])
async def test_the_shipped_recording_gives_the_same_streams_at_any_speed(
    tmp_path: Path, speed: float | None
) -> None:
    """The digest is DIGEST; a second replay gives the same streams."""
    with anyio.fail_after(TIMEOUT_S):
        digest, content = await replayed(tmp_path / "first", speed)
        again, same_content = await replayed(tmp_path / "second", None)

    assert (digest, again) == (DIGEST, DIGEST)
    assert content == same_content
    assert {"spot/BTCUSDT", "perp/BTCUSDT"} <= content.keys()
    assert sum(map(len, content.values())) == 372
