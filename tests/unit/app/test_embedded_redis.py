"""The embedded Redis has bounds: the length of its streams, and its memory."""

from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError

from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.app.embedded_redis import embedded_redis
from chimera_s1.app.service_settings import load_settings

MIB = 1 << 20
SIMULATOR = {
    "S1_BINANCE_ENV": "simulator",
    "S1_BINANCE_SPOT_REST_URL": "http://127.0.0.1:1",
    "S1_BINANCE_SPOT_WS_URL": "ws://127.0.0.1:2",
    "S1_VENUES": "spot",
}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, 1_000),
        ({"S1_STREAM_MAXLEN": "50000"}, 1_000),
        ({"S1_STREAM_MAXLEN": "100"}, 100),
        ({"S1_REDIS_EMBEDDED_MAXLEN": "20000"}, 10_000),
        ({"S1_REDIS_ADDRESSES": "10.0.0.5:6379"}, 10_000),
    ],
)
def test_streams_of_the_embedded_redis_are_shorter(given: dict[str, str], kept: int) -> None:
    """A thousand streams of 10,000 entries use 1.4 GB, of 1,000 entries 150 MB."""
    assert load_settings({**SIMULATOR, **given}).market_maxlen == kept


async def fill(node: ServerProcess, written: list[str]) -> None:
    """Write 33 streams of 1 MiB, and add the name of each to *written*."""
    for number in range(33):
        await node.execute("XADD", f"stream-{number}", "*", "field", "x" * MIB)
        written.append(f"stream-{number}")


async def test_a_full_embedded_redis_refuses_writes_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    """Its own words reach health and log; no stream is dropped in silence."""
    settings = load_settings(
        {
            **SIMULATOR,
            "S1_STATE_DIR": str(tmp_path),
            "S1_REDIS_EMBEDDED_MEMORY_MB": "32",
        }
    )
    written: list[str] = []
    async with embedded_redis(settings) as redis:
        (node,) = redis.nodes
        with pytest.raises(OutOfMemoryError, match="used memory > 'maxmemory'"):
            await fill(node, written)
        lengths = [await node.execute("XLEN", stream) for stream in written]

    assert len(written) > 8
    assert lengths == [1] * len(written)
