"""Admit quotes to their streams: only while this instance publishes, and with ids that fit.

A standby keeps its last quotes. When it takes over, it reads the last entry of each stream and
publishes what is newer, so that no window is missing.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import anyio
from msgspec import structs

from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.publisher_report import PublisherReport
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import LastEntry, StreamIds
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.quote_reader import PublishedQuote, QuoteReader

KEPT_MS = 5_000
"""A standby keeps quotes this long: more than the holder's lease and a take-over."""

KEPT_MAX = 100_000

READ_AGAIN_MS = 1_000

REPORT_INTERVAL_MS = 60_000
_NAMES_SHOWN = 5

_log = logging.getLogger(__name__)


class AdmitQuotes:
    """Args:
        record: Queues an event for `ops:events`.
        seed_feeds: Called with the `ts` of last entries, epoch ms, and the term; see
            `MarketFeed.seed`.
        on_begin: Called with venues when this instance begins to publish, once the last entries of
            each were read (their listings may come one after the other); True for the first ones.

    Attributes:
        changes: Notified when kept quotes may be admitted.
        ids: The ids given out, and how many quotes were left out.
        dropped: Kept quotes that were dropped: too old, or more than `KEPT_MAX`.
        dropped_until_ms: When the last of them was received, epoch ms; 0 before the first.
    """

    def __init__(
        self,
        lease: HoldPublisherLease,
        ids: StreamIds,
        reader: QuoteReader,
        *,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
        seed_feeds: Callable[[Mapping[InstrumentId, int], int | None], None],
        on_begin: Callable[[Collection[Venue], bool], None],
    ) -> None:
        self.changes = ChangeSignal()
        self.ids = ids
        self.dropped = 0
        self.dropped_until_ms = 0
        self._lease = lease
        self._reader = reader
        self._clock = clock
        self._record = record
        self._seed_feeds = seed_feeds
        self._on_begin = on_begin
        self._term = 0
        self._begun: frozenset[Venue] = frozenset()
        self._expected: set[InstrumentId] = set()
        self._kept: deque[Quote] = deque()
        self._unseeded = ChangeSignal()
        self._unread: set[InstrumentId] = set()
        self._foreign: dict[InstrumentId, float] = {}
        self._ahead_seen = 0
        self._reported_ms: float | None = None

    @property
    def publishing(self) -> bool:
        return self._lease.publishing

    @property
    def kept(self) -> int:
        """Quotes that wait: those of a standby, and those of streams that are being read."""
        return len(self._kept)

    def report(self) -> PublisherReport:
        since_ms = self._clock.monotonic_ms() - REPORT_INTERVAL_MS
        self._foreign = {each: at for each, at in self._foreign.items() if at >= since_ms}
        return structs.replace(self._lease.report(), foreign_streams=len(self._foreign))

    def admit(self, quotes: Sequence[Quote]) -> Sequence[Quote]:
        """Those of *quotes*, and of the kept ones, that may be published now."""
        if not self.publishing:
            self._kept.extend(quotes)
            self._drop_old()
            return ()
        self._follow_term()
        if self._kept:
            self._drop_old()
            quotes = [*self._kept, *quotes]
            self._kept.clear()
        admitted, unseeded = self.ids.assign(quotes, self._clock.now_ms())
        if unseeded:
            self._kept.extend(unseeded)
            self._unseeded.notify()
        if self.ids.ahead > self._ahead_seen:
            self._ahead_seen = self.ids.ahead
            moved = {quote.instrument for quote in admitted if quote.entry_id is not None}
            self._report_ahead(moved, "are ahead of this machine's clock")
        return admitted

    def expect(self, instruments: Iterable[InstrumentId]) -> None:
        """Read the last entries of *instruments* before their first quotes come."""
        self._expected.update(instruments)
        self._unseeded.notify()

    def forget(self, instruments: Iterable[InstrumentId]) -> None:
        """*instruments* are not served any more."""
        gone = frozenset(instruments)
        self._expected -= gone
        self._unread -= gone
        for each in gone:
            self._foreign.pop(each, None)
        self._kept = deque(quote for quote in self._kept if quote.instrument not in gone)
        self.ids.forget(gone)

    def keep(self, quotes: Sequence[Quote]) -> None:
        """Keep *quotes*, which were admitted, until this instance publishes; their ids are then
        other ones. Newer quotes may be kept already.
        """
        again = [structs.replace(q, entry_id=None) if q.entry_id else q for q in quotes]
        self._kept = deque(sorted([*self._kept, *again], key=_receipt))
        self._drop_old()

    async def resolve(self, refused: Sequence[Quote]) -> Sequence[Quote]:
        """Of quotes whose ids Redis has refused, those to publish again, with other ids.

        None if another instance holds the lease. If this one does, another process writes the
        streams, too, or their ids are ahead of the clock.
        """
        await self._lease.check()
        if not self.publishing:
            return ()
        self._follow_term()
        instruments = {quote.instrument for quote in refused}
        self._foreign.update(dict.fromkeys(instruments, self._clock.monotonic_ms()))
        await self._seed(instruments, report_step=False)
        admitted, unseeded = self.ids.assign(refused, self._clock.now_ms())
        if unseeded:
            self.keep(unseeded)
            self._unseeded.notify()
        self._ahead_seen = self.ids.ahead
        self._report_ahead(instruments, "were refused: another process writes these streams")
        return admitted

    async def run(self) -> None:
        """Follow the lease, and read the last entries of streams, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_lease)
            tasks.start_soon(self._seed_streams)
            tasks.start_soon(self._read_again)

    async def _follow_lease(self) -> None:
        version = 0
        while True:
            await self._lease.changes.next_after(version)
            version = self._lease.changes.version
            self.changes.notify()
            self._unseeded.notify()

    def _follow_term(self) -> None:
        if self._term != self._lease.term:
            self._term = self._lease.term
            self._unread.clear()
            self._begun = frozenset()
            self.ids.begin(self._clock.now_ms())

    async def _seed_streams(self) -> None:
        version = 0
        while True:
            await self._unseeded.next_after(version)
            version = self._unseeded.version
            if not self.publishing:
                continue
            self._follow_term()
            instruments = {quote.instrument for quote in self._kept}
            instruments |= {each for each in self._expected if not self.ids.is_seeded(each)}
            if not instruments:
                continue
            term = self._term
            found = await self._seed(instruments, report_step=True)
            if term != self._lease.term:
                continue  # another instance may have published since: the lease's change is next
            for instrument in instruments - found:
                # Its node does not answer. Redis will still refuse an id that does not fit.
                self.ids.seed(instrument, None, self._clock.now_ms())
                self._unread.add(instrument)
            if beginning := {each.venue for each in instruments} - self._begun:
                is_first = not self._begun
                self._begun |= beginning
                self._on_begin(beginning, is_first)
            self.changes.notify()

    async def _read_again(self) -> None:
        """Read the streams whose nodes did not answer, without delaying those of other nodes.

        What the stream holds already is left out from then on. With window 0 no refusal would show
        it: an update received twice has two ids.
        """
        while True:
            await self._clock.sleep_ms(READ_AGAIN_MS)
            if self._unread and self.publishing and self._term == self._lease.term:
                self._unread -= await self._seed(tuple(self._unread), report_step=True)

    async def _seed(
        self, instruments: Collection[InstrumentId], *, report_step: bool
    ) -> set[InstrumentId]:
        """Continue after the last entries of *instruments*; those whose node answers in the term
        of the call.
        """
        term = self._lease.term
        entries = await self._reader.last_entries(instruments)
        if term != self._lease.term:
            return set()
        found = {instrument: _last_entry(entry) for instrument, entry in entries.items()}
        for instrument, last in found.items():
            self.ids.seed(instrument, last, self._clock.now_ms())
        last_ts = {instrument: last.ts for instrument, last in found.items() if last}
        self._seed_feeds(last_ts, term if report_step else None)
        return set(found)

    def _drop_old(self) -> None:
        oldest_ms = self._clock.now_ms() - KEPT_MS
        while self._kept and (self._kept[0].received_ms < oldest_ms or len(self._kept) > KEPT_MAX):
            self.dropped_until_ms = self._kept.popleft().received_ms
            self.dropped += 1

    def _report_ahead(self, instruments: Collection[InstrumentId], cause: str) -> None:
        """Report ids that do not follow from the clock, at most once a minute."""
        now_ms = self._clock.monotonic_ms()
        if self._reported_ms is not None and now_ms - self._reported_ms < REPORT_INTERVAL_MS:
            return
        self._reported_ms = now_ms
        names = sorted(map(str, instruments))
        shown = ", ".join(names[:_NAMES_SHOWN])
        last_id = max((self.ids.last_id(each) for each in instruments), default=EntryId(0, 0))
        _log.warning("ids of %s %s; the last one is %s", _and_more(shown, names), cause, last_id)
        self._record(
            "stream.id_ahead",
            {
                "lease": self._lease.name,
                "streams": shown,
                "stream_count": len(names),
                "last_id": str(last_id),
                "cause": cause,
                "ahead_total": self.ids.ahead,
                "repeated_total": self.ids.repeated,
            },
        )


def _receipt(quote: Quote) -> tuple[int, int]:
    return quote.received_ms, quote.update_id


def _last_entry(entry: PublishedQuote | None) -> LastEntry | None:
    """None for an empty stream."""
    if entry is None:
        return None
    ts = dict(entry.fields).get("ts", "")
    return LastEntry(EntryId.parse(entry.entry_id), int(ts) if ts.isdecimal() else 0)


def _and_more(shown: str, names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
