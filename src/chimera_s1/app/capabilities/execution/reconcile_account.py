"""Compare the account with the ledger: at the start, each minute, after a gap, and on demand."""

import logging
from collections.abc import Callable, Sequence

import anyio

from chimera_s1.app.capabilities.execution.reconcile_venue import ReconcileVenue
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.reconciliation import Difference, DifferenceKind
from chimera_s1.domain.execution.reconciliation_health import ReconciliationReport
from chimera_s1.domain.execution.reconciliation_report import Reconciliation, VenueReconciliation
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail

INTERVAL_MS = 60_000.0
PROBLEM_INTERVAL_MS = 15_000.0
"""After a round that could not read everything."""

GAP_MS = 2_000.0
"""Between two rounds at least: many requests for one cost the weight of one."""

REASONS_MAX = 10
ADOPTED_SHOWN_MS = 3_600_000.0
ADOPTED_MAX = 100

_log = logging.getLogger(__name__)


class ReconcileAccount:
    """One worker runs the rounds, so they never overlap. All venues of a round are compared at the
    same time; one that fails does not stop the others.

    Args:
        record: Takes the kind and the details of an event of `ops:events`; must not raise.

    Attributes:
        last: The last round.
        rounds: Rounds that have ended.
        failed: Rounds of a venue with a problem.
        repaired, missed_fills: Orders and trades, since the start.
    """

    def __init__(
        self,
        venues: Sequence[ReconcileVenue],
        *,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self._venues = tuple(venues)
        self._clock = clock
        self._record = record
        self._asked = ChangeSignal()
        self._ended = ChangeSignal()
        self._reasons: dict[str, None] = {"start": None}
        self._began = 0
        self._complete_ms = clock.monotonic_ms()
        self._said: dict[Venue, set[tuple[DifferenceKind, str]]] = {}
        self._adopted: list[tuple[Difference, float]] = []
        self.last: Reconciliation | None = None
        self.rounds = 0
        self.failed = 0
        self.repaired = 0
        self.missed_fills = 0

    async def run(self) -> None:
        """Run the rounds until cancelled."""
        while True:
            version = self._asked.version
            await self._round()
            gap_from_ms = self._clock.monotonic_ms()
            await self._asked.wait_after(self._clock, self._wait_ms(), version=version)
            waited_ms = self._clock.monotonic_ms() - gap_from_ms
            await self._clock.sleep_ms(GAP_MS - waited_ms)

    def request(self, reason: str) -> None:
        """Have a round run soon that reads the trades too; returns at once."""
        if len(self._reasons) < REASONS_MAX:
            self._reasons[reason] = None
        self._asked.notify()

    async def reconcile(self, reason: str = "on demand") -> Reconciliation:
        """The result of a round that begins after this call; `run` must be running."""
        number = self._began + 1
        self.request(reason)
        while self.last is None or self.last.number < number:
            await self._ended.next_after(self._ended.version)
        return self.last

    def report(self) -> ReconciliationReport:
        now_ms = self._clock.monotonic_ms()
        return ReconciliationReport(
            last=self.last,
            age_ms=now_ms - self._complete_ms,
            adopted=tuple(
                difference
                for difference, at_ms in self._adopted
                if now_ms - at_ms <= ADOPTED_SHOWN_MS
            ),
        )

    async def _round(self) -> None:
        reasons, self._reasons = tuple(self._reasons), {}
        self._began += 1
        began_ms = self._clock.now_ms()
        results: dict[Venue, VenueReconciliation] = {}

        async def compare(venue: ReconcileVenue) -> None:
            results[venue.venue] = await venue.round(thorough=bool(reasons))

        async with anyio.create_task_group() as tasks:
            for venue in self._venues:
                tasks.start_soon(compare, venue)
        self.last = Reconciliation(
            number=self._began,
            reasons=reasons,
            thorough=bool(reasons),
            began_ms=began_ms,
            ended_ms=self._clock.now_ms(),
            venues=tuple(results[venue.venue] for venue in self._venues),
        )
        self._count(self.last)
        for result in self.last.venues:
            self._say(result)
        self._ended.notify()

    def _wait_ms(self) -> float:
        assert self.last is not None
        if self.last.problems:
            return PROBLEM_INTERVAL_MS
        undecided = any(venue.undecided for venue in self.last.venues)
        return QUERY_LAG_MS if undecided else INTERVAL_MS

    def _count(self, last: Reconciliation) -> None:
        self.rounds += 1
        self.failed += sum(bool(venue.problems) for venue in last.venues)
        self.repaired += sum(len(venue.repaired) for venue in last.venues)
        self.missed_fills += sum(venue.missed_fills_count for venue in last.venues)
        now_ms = self._clock.monotonic_ms()
        if not last.problems:
            self._complete_ms = now_ms
        adopted = [
            (each, now_ms)
            for each in last.differences
            if each.kind is DifferenceKind.POSITION_UNEXPLAINED
        ]
        recent = [each for each in self._adopted if now_ms - each[1] <= ADOPTED_SHOWN_MS]
        self._adopted = (recent + adopted)[-ADOPTED_MAX:]

    def _say(self, result: VenueReconciliation) -> None:
        """Log what was found, and record each difference once while it lasts."""
        for repair in result.repaired:
            _log.info(
                "reconciliation: %s (%s): %s -> %s",
                repair.client_id,
                repair.symbol,
                repair.before,
                repair.after,
            )
        for first in result.first_positions:
            _log.info(
                "reconciliation: the position %s %s is %s at the start of the ledger",
                first.symbol,
                first.position_side,
                first.qty,
            )
        self._say_missed(result)
        said = self._said.get(result.venue, set())
        for each in result.differences:
            if (each.kind, each.subject) not in said:
                self._say_difference(each)
        found = {(each.kind, each.subject) for each in result.differences}
        self._said[result.venue] = said | found if result.problems else found

    def _say_missed(self, result: VenueReconciliation) -> None:
        if not result.missed_fills_count:
            return
        symbols = ", ".join(sorted({fill.symbol for fill in result.missed_fills}))
        _log.warning(
            "reconciliation: %s on %s had not been seen (%s); recorded",
            count(result.missed_fills_count, "fill"),
            result.venue.value,
            symbols,
        )
        detail: EventDetail = {
            "venue": result.venue.value,
            "fills": result.missed_fills_count,
            "symbols": symbols,
        }
        self._record("execution.fills_found", detail)

    def _say_difference(self, difference: Difference) -> None:
        _log.error("reconciliation: %s", difference.text)
        if difference.kind is DifferenceKind.ORDER_UNKNOWN:
            return  # the ledger has said it, whatever named the order first
        self._record(
            f"execution.{difference.kind.value}",
            {
                "venue": difference.venue.value,
                "subject": difference.subject,
                "text": difference.text,
            },
        )
