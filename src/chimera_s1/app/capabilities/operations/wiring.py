"""The operations capability, from the settings that choose its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from msgspec import Struct, structs

from chimera_s1 import __version__
from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow, log_unusable_row
from chimera_s1.adapters.redis.heartbeat import RedisHeartbeat
from chimera_s1.adapters.redis.kill_switch import RedisKillSwitch
from chimera_s1.adapters.redis.operations_log import RedisOperationsLog
from chimera_s1.app.capabilities.operations.announce_service import AnnounceService
from chimera_s1.app.capabilities.operations.configuration_wiring import (
    open_configuration,
    with_configuration,
)
from chimera_s1.app.capabilities.operations.dead_letters_wiring import (
    DeadLetterParts,
    build_dead_letters,
)
from chimera_s1.app.capabilities.operations.follow_configuration import FollowConfiguration
from chimera_s1.app.capabilities.operations.hold_symbols import HoldSymbols
from chimera_s1.app.capabilities.operations.limits_wiring import build_limits
from chimera_s1.app.capabilities.operations.metrics import (
    clock_source,
    kill_switch_source,
    operations_source,
    round_trip_source,
    store_source,
)
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.operations.patrol_clock import PatrolClock
from chimera_s1.app.capabilities.operations.track_trading_mode import TrackTradingMode
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.app.capabilities.operations.watch_loop import WatchLoop
from chimera_s1.app.capabilities.operations.watch_store import WatchStore
from chimera_s1.app.capability import Capability, PendingWrites, SelfPacedJob
from chimera_s1.app.foundation import Foundation, served_endpoints
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.operations.reports import EmbeddedRedisReport
from chimera_s1.domain.operations.schedule import Every
from chimera_s1.domain.ports.exchange_information import ExchangeInformation
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord
from chimera_s1.domain.ports.operations_log import EventDetail, OperationsLog
from chimera_s1.domain.ports.risk_limits_reader import RiskLimitsReader


class Operations(Struct, frozen=True, kw_only=True):
    """The parts that other capabilities use.

    Attributes:
        configuration: What S10 publishes; None without `S1_S10_URL`.
    """

    exchange: ExchangeInformation
    log: OperationsLog
    outbox: OperationsOutbox
    patrols: tuple[PatrolClock, ...]
    trading_mode: TrackTradingMode
    kill_switch: WatchKillSwitch
    gate: TradingGate
    announce: AnnounceService
    configuration: FollowConfiguration | None
    held_symbols: HoldSymbols
    dead_letters: DeadLetterParts
    capability: Capability

    @property
    def last_writes(self) -> tuple[PendingWrites, ...]:
        """Those of a process that fails: events, then the letters that they may become."""
        outbox = self.outbox
        events = PendingWrites("operational events", outbox.flush_at_stop, lambda: outbox.pending)
        return events, self.dead_letters.pending_writes()

    @property
    def risk_limits(self) -> RiskLimitsReader | None:
        """The thresholds of S10; None without `S1_S10_URL`."""
        return self.configuration

    @property
    def spot_patrol(self) -> PatrolClock:
        """The clock of the spot host, which executes transfers; the futures clock if spot is not
        served.
        """
        spot = (patrol for patrol in self.patrols if patrol.venue is Venue.SPOT)
        return next(spot, self.patrols[0])

    def patrol(self, venue: Venue) -> PatrolClock:
        """The clock of the venue's host; of the spot host where the venue is not served."""
        own = (patrol for patrol in self.patrols if patrol.venue is venue)
        return next(own, self.spot_patrol)

    def signing_ms(self, venue: Venue) -> float:
        """The time to sign requests to *venue* with, epoch ms: that of the spot host while the
        venue's own is not known. Both hosts are the exchange's.

        Raises:
            ClockUncertainError: Neither is known.
        """
        try:
            return self.patrol(venue).exchange_ms()
        except ClockUncertainError:
            return self.spot_patrol.exchange_ms()


@asynccontextmanager
async def open_operations(base: Foundation) -> AsyncIterator[Operations]:
    """Operational events, clocks, the event loop, the kill switch and the trading mode."""
    settings, clock = base.settings, base.clock
    endpoints = served_endpoints(settings)
    async with (
        base.connect_redis() as client,  # its own: a slow batch of quotes delays no alarm
        base.connect_redis() as switch_client,  # nor does anything delay the kill switch
    ):
        log = RedisOperationsLog(client, maxlen=settings.ops_maxlen)

        def record(kind: str, detail: EventDetail) -> None:
            outbox.record(kind, detail)

        letters = build_dead_letters(base, client, record)
        outbox = OperationsOutbox(
            log, clock=clock, new_id=lambda: str(uuid4()), take_letter=letters.take
        )
        letters.handle.register(LetterPort.OPERATIONS_LOG, outbox.replay)
        rows = RowReader(partial(report_unusable_row, outbox))
        heartbeat = RedisHeartbeat(client)
        limits = build_limits(base, client, heartbeat, outbox.record)
        await limits.learn()
        async with (
            BinanceExchangeInformation(endpoints, clock, base.budgets, rows) as exchange,
            open_configuration(base, outbox) as configuration,
        ):
            patrols = tuple(
                PatrolClock(venue, exchange, clock, settings.clock_patrol_ms)
                for venue in settings.venues
            )
            loop = WatchLoop(clock, base.pulse_watchdog)
            switch = WatchKillSwitch(RedisKillSwitch(switch_client), clock, outbox.record)
            mode = TrackTradingMode(outbox.record)
            announce = AnnounceService(heartbeat, _identity(base), outbox.record, clock)
            yield Operations(
                exchange=exchange,
                log=log,
                outbox=outbox,
                patrols=patrols,
                trading_mode=mode,
                kill_switch=switch,
                gate=TradingGate(
                    kill_switch_on=switch.is_on, mode=mode.mode, mode_known=mode.known
                ),
                announce=announce,
                configuration=configuration,
                held_symbols=HoldSymbols(),
                dead_letters=letters,
                capability=_with_redis(
                    settings,
                    limits.add_to(
                        with_configuration(
                            _with_store(
                                letters.add_to(
                                    _capability(outbox, patrols, loop, announce, switch)
                                ),
                                WatchStore(base.stores.probe, clock),
                            ),
                            configuration,
                        )
                    ),
                ),
            )


def _with_redis(settings: CoreSettings, capability: Capability) -> Capability:
    """*capability*, which also warns of real quotes in an embedded Redis."""
    if not settings.real_venue or settings.redis_addresses:
        return capability
    source = HealthSource("redis.embedded", EmbeddedRedisReport, required=False)
    return structs.replace(capability, health=(*capability.health, source))


def _with_store(capability: Capability, store: WatchStore) -> Capability:
    return structs.replace(
        capability,
        workers=(*capability.workers, Worker("store", store.run)),
        health=(*capability.health, HealthSource("store", store.report, required=False)),
        metrics=(*capability.metrics, store_source(store)),
    )


def _identity(base: Foundation) -> HeartbeatRecord:
    settings, now_ms = base.settings, base.clock.now_ms()
    return HeartbeatRecord(
        instance=base.instance,
        ts=now_ms,
        started_at=now_ms,
        version=__version__,
        environment=settings.binance_env.value,
        venues=",".join(settings.venues),
        shard=str(settings.shard),
    )


def report_unusable_row(outbox: OperationsOutbox, row: UnusableRow) -> None:
    log_unusable_row(row)
    outbox.record(
        "exchange.row_unusable", {"source": row.source, "row": row.name, "reason": row.reason}
    )


def _job_state(patrol: PatrolClock) -> JobState:
    return patrol.job_state


def _capability(
    outbox: OperationsOutbox,
    patrols: tuple[PatrolClock, ...],
    loop: WatchLoop,
    announce: AnnounceService,
    switch: WatchKillSwitch,
) -> Capability:
    return Capability(
        name="operations",
        workers=(
            Worker("operations", outbox.run),
            Worker("loop", loop.run),
            Worker("heartbeat", announce.run),
            Worker("kill switch", switch.run),
            *(Worker(f"clock.{patrol.venue}", patrol.run) for patrol in patrols),
        ),
        self_paced_jobs=tuple(
            SelfPacedJob(
                name=f"clock.{patrol.venue.value}",
                schedule=Every(patrol.interval_ms),
                state=partial(_job_state, patrol),
                wake=patrol.request_refresh,
            )
            for patrol in patrols
        ),
        health=(
            *(HealthSource(f"clock.{p.venue.value}", p.report, required=False) for p in patrols),
            HealthSource("loop", loop.report, required=True),
            HealthSource("kill_switch", switch.report, required=False),
        ),
        metrics=(
            clock_source({patrol.venue: patrol.read_skew for patrol in patrols}),
            round_trip_source(outbox.round_trips),
            operations_source(outbox),
            kill_switch_source(switch),
        ),
        pending_writes=(
            PendingWrites("heartbeat", partial(announce.end, "requested"), lambda: 0),
            PendingWrites("operational events", outbox.flush_at_stop, lambda: outbox.pending),
        ),
    )
