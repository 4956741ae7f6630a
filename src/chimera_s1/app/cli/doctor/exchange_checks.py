"""The checks of the exchange, venue by venue: its clock, the symbols, a first market
data message.
"""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.binance.exchange_information import BinanceRest
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.wiring import build_endpoints
from chimera_s1.app.cli.doctor.check_result import Finding, Grade, found
from chimera_s1.app.cli.shared.direct_feed import direct_feed
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Selection, select
from chimera_s1.domain.operations.clock_skew import ClockProbe
from chimera_s1.domain.operations.health import Level, skew_level
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FeedEvent,
)

STREAM_PATIENCE_S = 12.0
STREAM_INSTRUMENTS = 20
_REACH = "check the network, a proxy in between, and S1_BINANCE_* URLs"
_CLOCK = "synchronise this machine's clock (chrony, systemd-timesyncd)"


async def check_exchange(settings: Settings) -> list[Finding]:
    """Three findings for each venue that *settings* serve."""
    findings: dict[Venue, list[Finding]] = {}

    async def check(venue: Venue) -> None:
        findings[venue] = await _check_venue(settings, venue)

    async with anyio.create_task_group() as tasks:
        for venue in settings.venues:
            tasks.start_soon(check, venue)
    return [finding for venue in settings.venues for finding in findings[venue]]


async def _check_venue(settings: Settings, venue: Venue) -> list[Finding]:
    clock = SystemClock()
    async with BinanceRest(build_endpoints(settings), clock) as exchange:
        findings = [await found(f"clock {venue}", _skew(exchange, venue, clock), _REACH)]
        try:
            listings = await exchange.listings(venue)
        except ChimeraError as error:
            return [*findings, Finding(f"symbols {venue}", Grade.FAIL, str(error), _REACH)]
    selection = select(settings.symbols, listings, venue, settings.shard)
    findings.append(_symbols(venue, selection))
    if selection.chosen:
        findings.append(await _stream(settings, venue, selection.chosen[:STREAM_INSTRUMENTS]))
    return findings


async def _skew(exchange: BinanceRest, venue: Venue, clock: SystemClock) -> Finding:
    await exchange.server_time_ms(venue)  # opens the connection, which is no part of the skew
    sent_ms = clock.now_ms()
    server_ms = await exchange.server_time_ms(venue)
    probe = ClockProbe(sent_ms, clock.now_ms(), server_ms)
    detail = f"skew {probe.offset_ms:+.0f} ms, round trip {probe.rtt_ms} ms"
    level = skew_level(probe.offset_ms)
    if level is Level.GREEN:
        return Finding(f"clock {venue}", Grade.OK, detail)
    grade = Grade.FAIL if level is Level.RED else Grade.WARN
    return Finding(f"clock {venue}", grade, detail, _CLOCK)


def _symbols(venue: Venue, selection: Selection) -> Finding:
    name = f"symbols {venue}"
    detail = f"{len(selection.chosen)} instruments of this shard"
    if selection.unknown:
        unknown = ", ".join(map(str, selection.unknown))
        remedy = "correct S1_SYMBOLS"
        return Finding(name, Grade.WARN, f"{detail}; not listed: {unknown}", remedy)
    return Finding(name, Grade.OK, detail)


async def _stream(settings: Settings, venue: Venue, instruments: Sequence[InstrumentId]) -> Finding:
    """Dial as the service does, and wait for the first market data message."""
    name = f"stream {venue}"
    url = build_endpoints(settings)[venue].ws_url
    clock = SystemClock()
    opened = anyio.Event()
    causes: list[str] = []

    def listen(event: FeedEvent) -> None:
        if isinstance(event, ConnectionOpened):
            opened.set()
        elif isinstance(event, ConnectionLost | ConnectionFatal):
            causes.append(event.cause)

    feed = direct_feed(settings, venue, clock, listen)
    started_ms = clock.monotonic_ms()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.run, instruments)
        with anyio.move_on_after(STREAM_PATIENCE_S):
            await opened.wait()
        tasks.cancel_scope.cancel()
    if opened.is_set():
        elapsed_ms = clock.monotonic_ms() - started_ms
        return Finding(name, Grade.OK, f"{url}: first message after {elapsed_ms:.0f} ms")
    cause = causes[-1] if causes else f"no data within {STREAM_PATIENCE_S:g} s"
    return Finding(name, Grade.FAIL, f"{url}: {cause}", _REACH)
