"""The simulator's public archive, read by the service's own reader."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.archive.download import ArchiveDownload
from chimera_s1.adapters.binance.egress import DIRECT
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ArchiveDamagedError, ExchangeUnavailableError
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol
from tests.simulator_client import SimulatorClient, simulator_client

BTC = Symbol("BTCUSDT")


def this_month() -> Month:
    return Month.parse(format_utc(SystemClock().now_ms())[: len("2026-11")])


@pytest.fixture
async def addresses(tasks: TaskGroup) -> SimulatorAddresses:
    started: SimulatorAddresses = await tasks.start(
        Simulator(SimulatorConfig(symbols=(BTC,)), SystemClock()).run
    )
    return started


@pytest.fixture
async def sim(addresses: SimulatorAddresses) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(structs.asdict(addresses)) as client:
        yield client


@pytest.fixture
async def archive(addresses: SimulatorAddresses) -> AsyncIterator[ArchiveDownload]:
    async with ArchiveDownload(addresses.archive_url, DIRECT) as opened:
        yield opened


async def test_a_month_has_the_settlements_of_the_history(
    sim: SimulatorClient, archive: ArchiveDownload
) -> None:
    month = this_month().previous()
    query = f"symbol={BTC}&startTime={month.start}&endTime={month.end}&limit=1000"
    _, rows, _ = await sim.rest("perp", f"/fapi/v1/fundingRate?{query}")

    found = await archive.read(BTC, month)

    assert found is not None
    assert [(row.calc_time, row.rate) for row in found.rows] == [
        (row["fundingTime"], Decimal(row["fundingRate"]))
        for row in rows
        if row["rateType"] == "Regular"
    ]
    assert {row.interval_h for row in found.rows} == {8}


async def test_a_month_is_published_when_it_has_ended(
    sim: SimulatorClient, archive: ArchiveDownload
) -> None:
    month = this_month()
    before = await archive.read(BTC, month)
    to_go = month.next().start + 60_000 - SystemClock().now_ms()
    await sim.control("POST", "/sim/clock", {"offset_ms": to_go})

    after = await archive.read(BTC, month)

    assert before is None
    assert after is not None


async def test_what_never_settled_has_no_file(archive: ArchiveDownload) -> None:
    month = this_month().previous()

    assert await archive.read(Symbol("NOSUCHUSDT"), month) is None
    assert await archive.read(BTC, Month(2019, 1)) is None


@pytest.mark.parametrize(
    ("suffix", "do", "expected"),
    [
        ("", "body:html", (ArchiveDamagedError, "its SHA-256 begins")),
        (".CHECKSUM", "body:html", (ArchiveDamagedError, "the checksum file is not one line")),
        ("", "body:truncated", (ExchangeUnavailableError, "no reply")),
        ("", "status:503", (ExchangeUnavailableError, "replied 503")),
    ],
)
async def test_a_file_can_be_damaged(
    sim: SimulatorClient,
    archive: ArchiveDownload,
    suffix: str,
    do: str,
    expected: tuple[type[Exception], str],
) -> None:
    month = this_month().previous()
    name = f"{BTC}-fundingRate-{month}.zip{suffix}"
    await sim.arm(f"GET /data/futures/um/monthly/fundingRate/{BTC}/{name}", do, times=1)

    with pytest.raises(expected[0], match=expected[1]):
        await archive.read(BTC, month)

    assert await sim.fired() == [1]
    assert await archive.read(BTC, month) is not None
