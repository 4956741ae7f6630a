"""Metrics of the instrument registry."""

from collections import Counter
from collections.abc import Iterable

from chimera_s1.app.capabilities.instruments.follow_registry import FollowRegistry
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.sync_instruments import SyncInstruments
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.enumerations import StatusClass, status_class
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge


def instruments_source(
    catalog: InstrumentCatalog,
    sync: SyncInstruments,
    follow: FollowRegistry,
    relay: RelayLog,
    venues: Iterable[Venue],
) -> MetricSource:
    kept = tuple(venues)
    return lambda: [
        *_instruments(catalog, kept),
        *(sample for venue in kept for sample in _reads(sync, venue)),
        *(
            gauge(
                "s1_instruments_held",
                "Rows in quarantine.",
                follow.held.get(venue, 0),
                venue=venue.value,
            )
            for venue in kept
        ),
        counter(
            "s1_instrument_events_relayed_total",
            "Changes of instruments written to ops:events by this instance.",
            relay.relayed,
        ),
    ]


def _instruments(catalog: InstrumentCatalog, venues: Iterable[Venue]) -> Iterable[Sample]:
    """Of every status class, so that none appears or disappears."""
    for venue in venues:
        classes = Counter(status_class(row.content.spec.status) for row in catalog.rows_of(venue))
        for each in StatusClass:
            yield gauge(
                "s1_registry_instruments",
                "Instruments in the registry, by the class of their status.",
                classes[each],
                venue=venue.value,
                status_class=each.value,
            )


def _reads(sync: SyncInstruments, venue: Venue) -> Iterable[Sample]:
    reads = sync.reads[venue]
    yield gauge(
        "s1_instruments_read_timestamp_seconds",
        "When this instance last read the venue's listing whole, epoch seconds; 0 if never.",
        (reads.read_at or 0) / 1000,
        venue=venue.value,
    )
    yield gauge(
        "s1_instruments_unusable",
        "Rows of the last listing that could not be decoded.",
        reads.unusable,
        venue=venue.value,
    )
    yield counter(
        "s1_instrument_changes_total",
        "Changes of instruments that this instance has written to the registry.",
        reads.changes,
        venue=venue.value,
    )
