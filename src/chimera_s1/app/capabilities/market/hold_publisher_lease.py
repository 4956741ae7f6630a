"""Hold the lease that says which of several instances publishes this share of the instruments.

The holder renews it and goes on publishing while it cannot be read. Another instance is a standby:
it receives and does not publish, and takes over when the lease ends. It never takes over while it
cannot read the lease.
"""

import logging
from collections.abc import Callable

import anyio

from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.market.publisher_report import PublisherReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.publisher_lease import LeaseHolder, PublisherLease

LEASE_MS = 2_000
"""A standby publishes within 3 s of the holder's death: this, its next look, one write."""

RENEW_INTERVAL_MS = 500.0
STANDBY_INTERVAL_MS = 200.0

UNREADABLE_MS = 3_000
"""The holder goes on for so long after a failed read. The next read has failed by then, too: this
process was paused if it has not.
"""

_log = logging.getLogger(__name__)


class HoldPublisherLease:
    """Whether this instance publishes.

    Args:
        owner: This instance, readable and unique.
        record: Queues an event for `ops:events`.

    Attributes:
        changes: Notified when this instance begins or ends to publish.
        term: Counts how often it has begun. After a pause that was longer than the lease it begins
            again: another instance may have published meanwhile.
    """

    def __init__(
        self,
        lease: PublisherLease,
        owner: str,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self.changes = ChangeSignal()
        self.term = 0
        self._lease = lease
        self._owner = owner
        self._clock = clock
        self._record = record
        self._lock = anyio.Lock()
        self._holds = False
        self._may_publish_until_ms = 0.0
        self._other: LeaseHolder | None = None
        self._waiting = ""
        self._cause = ""

    @property
    def name(self) -> str:
        return self._lease.name

    @property
    def publishing(self) -> bool:
        """Whether this instance may publish now. After a pause that was longer than the lease it
        may not, until the lease was read again or could not be read.
        """
        return self._holds and self._clock.monotonic_ms() < self._may_publish_until_ms

    @property
    def standby(self) -> str:
        """The instance that takes over when this one releases the lease; empty if none waits."""
        return self._waiting if self._holds else ""

    def report(self) -> PublisherReport:
        return PublisherReport(
            publishing=self._holds,
            lease=self.name,
            other=self._other.owner if self._other else "",
            endless=self._other is not None and self._other.remaining_ms < 0,
            cause=self._cause,
            standby=self.standby,
        )

    async def run(self) -> None:
        """Take, renew or watch the lease until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep_ms(RENEW_INTERVAL_MS if self._holds else STANDBY_INTERVAL_MS)

    async def check(self) -> None:
        """Take or renew the lease now, if it is free or held here."""
        async with self._lock:
            while not await self._read():
                pass

    async def release(self) -> None:
        """Let a standby take over at once; if the lease cannot be reached, it expires."""
        async with self._lock:
            if not self._holds:
                return
            self._holds = False
            self.changes.notify()
            try:
                await self._lease.release(self._owner)
            except REDIS_ERRORS as error:
                _log.warning(
                    "cannot release the publisher lease %s: %s; it expires in %g s",
                    self.name,
                    error,
                    LEASE_MS / 1000,
                )

    async def _read(self) -> bool:
        """Take, renew or read the lease; False if a pause has made the read fail."""
        asked_ms = self._clock.monotonic_ms()
        lapsed = self._holds and not self.publishing
        try:
            holder = await self._lease.acquire(self._owner, LEASE_MS)
        except REDIS_ERRORS as error:
            failed_ms = self._clock.monotonic_ms()
            if failed_ms - asked_ms >= LEASE_MS:
                # The time limit of the read, which is shorter, has passed while this process was
                # paused: that says nothing of Redis, and another instance may publish now.
                return False
            self._may_publish_until_ms = failed_ms + UNREADABLE_MS
            self._record_unreadable(str(error))
        else:
            self._apply(holder, asked_ms)
        if lapsed and self.publishing:
            _log.warning("publishing again; lease %s had ended in a pause", self.name)
            self._start_term(None)
        return True

    def _apply(self, holder: LeaseHolder, asked_ms: float) -> None:
        self._cause = ""
        self._waiting = holder.standby
        if holder.owner == self._owner:
            self._may_publish_until_ms = asked_ms + LEASE_MS
            self._begin()
        else:
            self._stand_by(holder)

    def _begin(self) -> None:
        previous, self._other = self._other, None
        if self._holds:
            return
        self._holds = True
        if previous is None:
            _log.info("publishing; lease %s", self.name)
        else:
            _log.warning("publishing in place of %s; lease %s", previous.owner, self.name)
        self._start_term(previous)

    def _start_term(self, previous: LeaseHolder | None) -> None:
        self.term += 1
        self._record("publisher.began", self._detail(previous))
        self.changes.notify()

    def _stand_by(self, holder: LeaseHolder) -> None:
        held, self._holds = self._holds, False
        known, self._other = self._other, holder
        if held:
            _log.error("%s holds the lease %s; publishing has stopped", holder.owner, self.name)
            self._record("publisher.stopped", self._detail(holder))
            self.changes.notify()
        elif known is None or known.owner != holder.owner:
            _log.warning(
                "standby: %s publishes (lease %s); receiving, and taking over when its lease ends",
                holder.owner,
                self.name,
            )
            self._record("publisher.standby", self._detail(holder))

    def _record_unreadable(self, cause: str) -> None:
        if not self._cause:
            then = "publishing goes on" if self._holds else "nothing is published"
            _log.warning("cannot read the publisher lease %s: %s; %s", self.name, cause, then)
        self._cause = cause

    def _detail(self, other: LeaseHolder | None) -> EventDetail:
        return {"lease": self.name, "instance": self._owner, "other": other.owner if other else ""}
