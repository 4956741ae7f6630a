"""Checks of the exchange, by venue: clock, symbols, a first market data message."""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult, run_check
from chimera_s1.app.cli.shared.direct_feed import direct_feed
from chimera_s1.app.foundation import ExchangeLimits, served_endpoints
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Selection, select_instruments
from chimera_s1.domain.operations.clock_skew import SAMPLES, ClockSample, OffsetEstimate
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.reports import skew_level
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FeedEvent,
)

STREAM_TIMEOUT_S = 12.0
STREAM_INSTRUMENTS = 20
_CONNECT_REMEDY = "check the network, any proxy, and the S1_BINANCE_* URLs"
_CLOCK_REMEDY = "synchronise this machine's clock (chrony, systemd-timesyncd)"


async def check_exchange(settings: Settings, limits: ExchangeLimits) -> list[CheckResult]:
    """Up to three results for each venue of *settings*."""
    results: dict[Venue, list[CheckResult]] = {}

    async def check(venue: Venue) -> None:
        results[venue] = await _check_venue(settings, venue, limits)

    async with anyio.create_task_group() as tasks:
        for venue in settings.venues:
            tasks.start_soon(check, venue)
    return [result for venue in settings.venues for result in results[venue]]


async def _check_venue(
    settings: Settings, venue: Venue, limits: ExchangeLimits
) -> list[CheckResult]:
    clock = SystemClock()
    endpoints = served_endpoints(settings)
    async with BinanceExchangeInformation(endpoints, clock, limits.budgets) as exchange:
        results = [
            await run_check(f"clock {venue}", _skew(exchange, venue, clock), _CONNECT_REMEDY)
        ]
        try:
            listings = await exchange.listings(venue)
        except ChimeraError as error:
            return [
                *results,
                CheckResult(f"symbols {venue}", CheckGrade.FAIL, str(error), _CONNECT_REMEDY),
            ]
    choice = settings.symbol_filter
    if choice is None:
        detail = "S10 names them (S1_SYMBOLS=s10)"
        return [*results, CheckResult(f"symbols {venue}", CheckGrade.OK, detail)]
    selection = select_instruments(choice, listings, venue, settings.shard)
    results.append(_symbols(venue, selection))
    if selection.instruments:
        some = selection.instruments[:STREAM_INSTRUMENTS]
        results.append(await _stream(settings, venue, some, limits, clock))
    return results


async def _skew(
    exchange: BinanceExchangeInformation, venue: Venue, clock: SystemClock
) -> CheckResult:
    await exchange.server_time_ms(venue)  # connecting is not part of the measurement
    estimate = OffsetEstimate()
    for _ in range(SAMPLES):
        sent_ms = clock.now_ms()
        server_ms = await exchange.server_time_ms(venue)
        estimate.add(ClockSample(sent_ms, clock.now_ms(), server_ms))
    offset = estimate.at(clock.now_ms())
    assert offset is not None, "there are samples"
    detail = f"skew {offset.offset_ms:+.0f} ms, within {offset.bound_ms:.0f} ms"
    level = skew_level(offset)
    if level is Level.GREEN:
        return CheckResult(f"clock {venue}", CheckGrade.OK, detail)
    grade = CheckGrade.FAIL if level is Level.RED else CheckGrade.WARN
    return CheckResult(f"clock {venue}", grade, detail, _CLOCK_REMEDY)


def _symbols(venue: Venue, selection: Selection) -> CheckResult:
    name = f"symbols {venue}"
    detail = f"{len(selection.instruments)} instruments of this shard"
    if selection.unlisted:
        unknown = ", ".join(map(str, selection.unlisted))
        remedy = "correct S1_SYMBOLS"
        return CheckResult(name, CheckGrade.WARN, f"{detail}; not listed: {unknown}", remedy)
    return CheckResult(name, CheckGrade.OK, detail)


async def _stream(
    settings: Settings,
    venue: Venue,
    instruments: Sequence[InstrumentId],
    limits: ExchangeLimits,
    clock: SystemClock,
) -> CheckResult:
    """Connect as the service does, and wait for the first market data message."""
    name = f"stream {venue}"
    url = served_endpoints(settings)[venue].ws_url
    opened = anyio.Event()
    causes: list[str] = []

    def listen(event: FeedEvent) -> None:
        if isinstance(event, ConnectionOpened):
            opened.set()
        elif isinstance(event, ConnectionLost | ConnectionFatal):
            causes.append(event.cause)

    feed = direct_feed(settings, venue, clock, limits.gates[venue], listen)
    started_ms = clock.monotonic_ms()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.run, instruments)
        with anyio.move_on_after(STREAM_TIMEOUT_S):
            await opened.wait()
        tasks.cancel_scope.cancel()
    if opened.is_set():
        elapsed_ms = clock.monotonic_ms() - started_ms
        return CheckResult(name, CheckGrade.OK, f"{url}: first message after {elapsed_ms:.0f} ms")
    cause = causes[-1] if causes else f"no data within {STREAM_TIMEOUT_S:g} s"
    return CheckResult(name, CheckGrade.FAIL, f"{url}: {cause}", _CONNECT_REMEDY)
