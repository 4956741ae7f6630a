"""The service as a whole: a real process between a real simulator and a real Redis Cluster."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from redis.asyncio import Redis

from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import ChimeraProcess, simulator_process
from tests.time_limits import TIMEOUT_S

AHEAD_MS = 60_000
FIELDS = ["ts", "symbol", "bid1", "ask1", "mid", "spread_bps", "top1_qty", "top1_usdt", "src"]
Row = tuple[str, ...]


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[ChimeraProcess]:
    """Five updates a second of each stream; the exchange's clock is a minute ahead of ours."""
    async with simulator_process("--symbols", "BTCUSDT,ETHUSDT", "--rate", "20") as process:
        async with httpx2.AsyncClient(
            base_url=process.ready["control_url"], timeout=TIMEOUT_S
        ) as control:
            set_clock = await control.post("/sim/clock", json={"offset_ms": AHEAD_MS})
            set_clock.raise_for_status()
        yield process


@pytest.fixture(scope="module")
async def service(
    simulator: ChimeraProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service with its embedded Redis, without faults."""
    directory = tmp_path_factory.mktemp("service")
    async with service_process(directory, simulated(simulator.ready)) as running:
        await running.readiness(200)
        yield running


@pytest.fixture
async def redis(service: Service) -> AsyncIterator[Redis]:
    async with redis_at(await service.redis_port()) as client:
        yield client


async def frames_sent(
    simulator: ChimeraProcess, venue: str, stream: str = "btcusdt@bookTicker"
) -> list[dict[str, Any]]:
    """The last frames of a stream that the simulator sent, oldest first."""
    async with httpx2.AsyncClient(
        base_url=simulator.ready["control_url"], timeout=TIMEOUT_S
    ) as control:
        reply = (await control.get(f"/sim/quotes/{venue}/BTCUSDT")).raise_for_status().json()
    return [frame for frame in reply["frames"] if frame["stream"] == stream]


def decimal(value: float) -> str:
    """The shortest decimal of a float64, by the standard library alone."""
    return format(Decimal(repr(value)).normalize(), "f")


def row_of(frame: dict[str, Any], venue: str) -> Row:
    """The expected stream entry of a frame, without its time."""
    bid, bid_qty, ask, ask_qty = (float(frame["data"][key]) for key in "bBaA")
    mid = (bid + ask) / 2
    spread_bps = (ask - bid) / mid * 1e4
    top1_qty = min(bid_qty, ask_qty)
    numbers = map(decimal, (bid, ask, mid, spread_bps, top1_qty, top1_qty * mid))
    return ("BTCUSDT", *numbers, f"binance.{venue}.bookTicker")


def row(fields: dict[str, str]) -> Row:
    return tuple(fields.values())[1:]


@pytest.mark.parametrize("venue", ["spot", "perp"])
async def test_quotes_on_the_stream_are_what_the_exchange_sent(
    simulator: ChimeraProcess, redis: Redis, venue: str
) -> None:
    """Exactly the fields, in order, every number recomputed from the frame; one a window; times by
    our clock, though the exchange's is a minute ahead.
    """
    reader = StreamReader(redis, f"mkt:events:{venue}:BTCUSDT", after="$")
    moments: list[int] = []
    for _ in range(3):
        _, fields = await reader.next()
        sent = [
            frame
            for frame in await frames_sent(simulator, venue)
            if row_of(frame, venue) == row(fields)
        ]

        assert list(fields) == FIELDS
        assert sent
        moments.append(int(fields["ts"]))
        assert min(abs(moments[-1] - frame["sent_ms"]) for frame in sent) < AHEAD_MS / 2
        if venue == "perp":
            assert {frame["data"]["E"] - frame["sent_ms"] > AHEAD_MS / 2 for frame in sent} == {
                True
            }

    if venue == "spot":
        assert len({moment // 1000 for moment in moments}) == len(moments)


async def test_start_events_are_published(redis: Redis) -> None:
    """The start, who publishes, and each connection's opening with its name."""
    reader = StreamReader(redis, "ops:events")
    wanted = ("service.started", "publisher.began", '"spot-0"', '"perp-0"')
    found = ""
    while not all(each in found for each in wanted):
        _, fields = await reader.next()
        assert list(fields) == ["ts", "source", "kind", "detail_json"]
        found += f"{fields['kind']} {fields['detail_json']}\n"

    assert found.count("ws.opened") >= 2


async def test_http_and_stream_show_the_same_quotes(service: Service, redis: Redis) -> None:
    """The event stream and Redis carry the same quotes; a reader that is slow gets only some."""
    reader = StreamReader(redis, "mkt:events:spot:BTCUSDT", after="$")
    async with (
        httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http,
        http.stream("GET", "/xchg/quotes/stream?venue=spot&symbol=BTCUSDT") as events,
    ):
        _, fields = await reader.next()
        with anyio.fail_after(TIMEOUT_S):
            async for line in events.aiter_lines():
                if not line.startswith("data: ") or '"mid"' not in line:  # an event named status
                    continue
                quote = httpx2.Response(200, text=line.removeprefix("data: ")).json()
                while int(fields["ts"]) < quote["ts"]:
                    _, fields = await reader.next()
                if int(fields["ts"]) == quote["ts"]:
                    break

    assert int(fields["ts"]) == quote["ts"]
    assert decimal(quote["mid"]) == fields["mid"]


async def test_http_and_stream_show_the_same_states(service: Service, redis: Redis) -> None:
    """Each state that HTTP shows is an entry of the stream; a quote has that of its instrument."""
    async with httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http:
        listed = (await http.get("/xchg/status")).json()
        one = (await http.get("/xchg/status/spot/BTCUSDT")).json()
        shown = (await http.get("/xchg/quotes/spot/BTCUSDT")).json()

    assert listed["publishing"] is True
    assert {row["symbol"] for row in listed["statuses"]} >= {"BTCUSDT", "ETHUSDT"}
    assert shown["state"] != "UNKNOWN"
    assert shown["age_ms"] >= 0
    for row in (one, *listed["statuses"]):
        reader = StreamReader(redis, f"mkt:status:{row['venue']}")
        # A state of before the take-over is written with the `ts` of the take-over.
        wanted = {name: str(value) for name, value in row.items() if name not in ("venue", "ts")}
        with anyio.fail_after(TIMEOUT_S):
            entry: dict[str, str] = {}
            while not (wanted.items() <= entry.items() and int(entry["ts"]) >= row["ts"]):
                _, entry = await reader.next()


async def test_window_zero_publishes_every_update(
    simulator: ChimeraProcess, tmp_path: Path
) -> None:
    """With S1_CONFLATION_MS=0 the stream is the sequence of frames: none missing, none twice."""
    environ = {**simulated(simulator.ready, "BTCUSDT"), "S1_CONFLATION_MS": "0"}
    async with service_process(tmp_path, environ) as service:
        await service.readiness(200)
        async with redis_at(await service.redis_port()) as redis:
            for venue in ("spot", "perp"):
                reader = StreamReader(redis, f"mkt:events:{venue}:BTCUSDT")
                published = [await next_update(reader) for _ in range(15)]
                frames = await frames_sent(simulator, venue)
                sent = [(frame["data"]["u"], row_of(frame, venue)) for frame in frames]
                while published[-1][0] < sent[-1][0]:
                    published.append(await next_update(reader))

                first = max(published[0][0], sent[0][0])
                expected = [update for update in sent if update[0] >= first]
                assert len(expected) >= 15
                assert [
                    update for update in published if first <= update[0] <= sent[-1][0]
                ] == expected


async def next_update(reader: StreamReader) -> tuple[int, Row]:
    """The update id of the next entry, which is in its own id, and its row."""
    entry_id, fields = await reader.next()
    return int(entry_id.partition("-")[2]), row(fields)
