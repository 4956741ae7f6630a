"""The part of the funding capability that receives and publishes estimates."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from msgspec import Struct

from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.mark_prices import BinanceMarkPrices
from chimera_s1.adapters.redis.funding_events import RedisFundingEvents
from chimera_s1.app.capabilities.funding.estimates_metrics import estimates_source
from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.funding.publish_estimates import PublishEstimates
from chimera_s1.app.capabilities.operations.publication_gate import PublicationGate
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.capability import PendingWrites
from chimera_s1.app.foundation import Foundation, served_endpoints
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.mark_prices import MarkPrices
from chimera_s1.domain.ports.publication import Publication


class PublicationRules(Protocol):
    """The settings of market data that hold for estimates, too."""

    @property
    def conflation_ms(self) -> WindowMs: ...

    @property
    def market_maxlen(self) -> int:
        """Entries a stream keeps, about."""
        ...

    @property
    def kill_switch_interval_ms(self) -> int | None:
        """How often estimates are written while the kill switch is on; None: never."""
        ...


class Estimates(Struct, frozen=True):
    """Attributes:
    latest: Empty where futures are not served.
    """

    latest: LatestEstimates
    workers: tuple[Worker, ...] = ()
    health: tuple[HealthSource, ...] = ()
    metrics: tuple[MetricSource, ...] = ()
    pending_writes: tuple[PendingWrites, ...] = ()


@asynccontextmanager
async def open_estimates(
    rules: PublicationRules,
    base: Foundation,
    operations: Operations,
    instruments: InstrumentReader,
    publication: Publication,
    *,
    on_settled: Callable[[Symbol, int], None],
) -> AsyncIterator[Estimates]:
    """Receive the estimates of all contracts, and publish those of *publication*; *on_settled* as
    in `PublishEstimates`.
    """
    latest = LatestEstimates()
    if Venue.PERP not in base.settings.venues:
        yield Estimates(latest)
        return
    source = _mark_prices(base, operations)
    async with base.connect_redis() as client:  # its own: quotes do not wait for estimates
        publish = PublishEstimates(
            source,
            RedisFundingEvents(client, maxlen=rules.market_maxlen),
            latest,
            instruments=instruments,
            publication=publication,
            gate=PublicationGate(operations.kill_switch, base.clock, rules.kill_switch_interval_ms),
            clock=base.clock,
            window=rules.conflation_ms,
            on_settled=on_settled,
        )
        yield Estimates(
            latest,
            workers=(Worker("funding estimates", publish.run),),
            health=(HealthSource("funding.estimates", publish.report, required=False),),
            metrics=(estimates_source(source, latest, publish),),
            pending_writes=(
                PendingWrites("funding estimates", publish.flush, lambda: publish.waiting),
            ),
        )


def _mark_prices(base: Foundation, operations: Operations) -> MarkPrices:
    endpoints = served_endpoints(base.settings)[Venue.PERP]
    return BinanceMarkPrices(
        endpoints.ws_url,
        policy=ReconnectPolicy(),
        clock=base.clock,
        gate=base.gates[Venue.PERP],
        draw=random.random,
        listener=operations.outbox.on_feed_event,
        rows=RowReader(partial(report_unusable_row, operations.outbox)),
        egress=endpoints.egress,
    )
