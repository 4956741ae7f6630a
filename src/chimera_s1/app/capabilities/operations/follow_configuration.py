"""Follow the configuration of S10: read it, judge it, and put a good revision in force at once."""

import logging
from collections import Counter
from collections.abc import Callable

import anyio
from msgspec import Struct

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ConfigurationError,
    ConfigurationNotKeptError,
    ConfigurationUnavailableError,
    PublisherUnavailableError,
)
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.operations.active_configuration import (
    Refusal,
    RefusalReason,
    RiskLimits,
    Snapshot,
    SnapshotDraft,
    default_limits,
    judge,
    limits_by_instrument,
    selection_problems,
)
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.configuration_report import ConfigurationReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.configuration_source import ConfigurationSource
from chimera_s1.domain.ports.kept_configuration import KeptConfiguration
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.revision_announcements import RevisionAnnouncements

RETRY_BASE_MS = 500
ANNOUNCEMENTS_RETRY_MS = 1_000

_log = logging.getLogger(__name__)


class _InForce(Struct, frozen=True):
    """A snapshot, ready for lookup; replaced as a whole. *since_ms* is None if kept from before."""

    snapshot: Snapshot
    limits: dict[InstrumentId, RiskLimits]
    others: RiskLimits
    since_ms: float | None


class FollowConfiguration:
    """The snapshot in force; whatever S10 does, the last good one stays.

    Args:
        record: Takes `config.applied` and `config.refused`.
        poll_ms: How often S10 is asked without an announcement.
        draw: Uniform in [0, 1), for the jitter of retries.
        selects: Its instruments are the symbols to serve (`S1_SYMBOLS=s10`).
    """

    def __init__(
        self,
        source: ConfigurationSource,
        announcements: RevisionAnnouncements,
        kept: KeptConfiguration,
        *,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
        poll_ms: int,
        draw: Callable[[], float],
        selects: bool,
    ) -> None:
        self._source = source
        self._announcements = announcements
        self._kept = kept
        self._clock = clock
        self._record = record
        self._poll_ms = poll_ms
        self._backoff = Backoff(min(RETRY_BASE_MS, poll_ms), poll_ms, min(RETRY_BASE_MS, poll_ms))
        self._draw = draw
        self._selects = selects
        self._in_force: _InForce | None = None
        self._draft: SnapshotDraft | None = None
        self._saved: Snapshot | None = None
        self._confirmed_ms: float | None = None
        self._refusal: Refusal | None = None
        self._unavailable = ""
        self._announced: int | None = None
        self._unannounced = ""
        self._not_kept = ""
        self._retries = 0
        self._wake = ChangeSignal()
        self.changes = ChangeSignal()
        """Notified when a snapshot comes into force."""
        self.applied = 0
        self.failed_requests = 0
        self.unknown_fields = 0
        self.refused: Counter[RefusalReason] = Counter()

    @property
    def snapshot(self) -> Snapshot | None:
        """The one in force; None before the first."""
        return None if self._in_force is None else self._in_force.snapshot

    def limits(self, instrument: InstrumentId) -> RiskLimits | None:
        """See `domain.ports.risk_limits_reader.RiskLimitsReader`."""
        in_force = self._in_force
        return None if in_force is None else in_force.limits.get(instrument, in_force.others)

    def report(self) -> ConfigurationReport:
        now_ms = self._clock.monotonic_ms()
        since_ms = None if self._in_force is None else self._in_force.since_ms
        return ConfigurationReport(
            in_force=self.snapshot,
            in_force_ms=None if since_ms is None else now_ms - since_ms,
            confirmed_ago_ms=None if self._confirmed_ms is None else now_ms - self._confirmed_ms,
            unavailable=self._unavailable,
            refusal=self._refusal,
            announced=self._announced,
            unannounced=self._unannounced,
            not_kept=self._not_kept,
        )

    async def restore(self) -> None:
        """Put the snapshot of an earlier run in force, so that a dead S10 leaves the thresholds."""
        try:
            snapshot = await self._kept.load()
        except ConfigurationNotKeptError as error:
            _log.warning("the configuration kept from an earlier run is not used: %s", error)
            return
        if snapshot is None:
            return
        named = dict.fromkeys(row.instrument for row in snapshot.instruments)
        if self._selects and (problems := selection_problems(named)):
            unusable = "rev %d, kept from an earlier run, is not used: %s"
            _log.warning(unusable, snapshot.rev, problems[0])
            return
        _log.info("configuration: rev %d in force, kept from an earlier run", snapshot.rev)
        self._saved = snapshot
        self._swap(snapshot, since_ms=None)

    async def run(self) -> None:
        """Follow until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_announcements)
            while True:
                version = self._wake.version
                await self.refresh()
                await self._wake.wait_after(self._clock, self._wait_ms(), version=version)

    async def refresh(self) -> None:
        """Ask S10 once."""
        try:
            draft = await self._source.read()
        except ConfigurationUnavailableError as error:
            self.failed_requests += 1
            self._unavailable = str(error)
            return
        self._unavailable = ""
        if draft is not self._draft:
            self._draft = draft
            self._take(draft)
        if self._refusal is None:
            self._confirmed_ms = self._clock.monotonic_ms()
        await self._save()

    def _take(self, draft: SnapshotDraft) -> None:
        before = self.snapshot
        judged = judge(draft, before, selects=self._selects)
        if isinstance(judged, Refusal):
            self._refuse(judged)
            return
        self._refusal = None
        if judged == before:
            return
        self._swap(judged, since_ms=self._clock.monotonic_ms())
        self.applied += 1
        self.unknown_fields += len(draft.unknown_fields)
        unknown = ", ".join(draft.unknown_fields)
        named = len(judged.instruments)
        _log.info("configuration: rev %d in force, %d instruments", judged.rev, named)
        if unknown:
            _log.info("configuration: fields that this version does not know: %s", unknown)
        detail: EventDetail = {
            "rev": judged.rev,
            "previous_rev": None if before is None else before.rev,
            "instruments": named,
            "unknown_fields": unknown,
        }
        self._record("config.applied", detail)

    def _swap(self, snapshot: Snapshot, *, since_ms: float | None) -> None:
        self._in_force = _InForce(
            snapshot, limits_by_instrument(snapshot), default_limits(snapshot), since_ms
        )
        self.changes.notify()

    def _refuse(self, refusal: Refusal) -> None:
        repeated, self._refusal = refusal == self._refusal, refusal
        if repeated:
            return
        self.refused[refusal.reason] += 1
        in_force = None if self.snapshot is None else self.snapshot.rev
        _log.warning(
            "configuration of S10 refused, %s stays in force: %s",
            "nothing" if in_force is None else f"rev {in_force}",
            refusal.text,
        )
        detail: EventDetail = {
            "rev": refusal.rev,
            "reason": refusal.reason.value,
            "detail": refusal.text,
            "rev_in_force": in_force,
        }
        self._record("config.refused", detail)

    async def _save(self) -> None:
        snapshot = self.snapshot
        if snapshot is None or snapshot is self._saved:
            return
        try:
            await self._kept.save(snapshot)
        except ConfigurationNotKeptError as error:
            self._not_kept = str(error)
            return
        self._not_kept, self._saved = "", snapshot

    async def _watch_announcements(self) -> None:
        while True:
            try:
                await self._look()
                if await self._announcements.wait():
                    self._wake.notify()
            except (PublisherUnavailableError, ConfigurationError) as error:
                self._unannounced = str(error)
                await self._clock.sleep_ms(ANNOUNCEMENTS_RETRY_MS)

    async def _look(self) -> None:
        """The key, also where the stream has announced nothing: an entry may be lost."""
        before, self._announced = self._announced, await self._announcements.current()
        self._unannounced = ""
        if self._announced != before:
            self._wake.notify()

    def _wait_ms(self) -> float:
        """Sooner than usual while S10 does not serve what it should."""
        overdue = self._announced is not None and (
            self.snapshot is None or self._announced > self.snapshot.rev
        )
        if not (self._unavailable or self._refusal is not None or overdue):
            self._retries = 0
            return self._poll_ms
        self._retries += 1
        return self._backoff.wait_ms(self._retries - 1, self._draw())
