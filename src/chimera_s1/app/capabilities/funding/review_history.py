"""Look at the stored history at regular times, for health and metrics."""

from msgspec import Struct

from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.relay_records import CURSOR
from chimera_s1.app.capabilities.funding.run_completions import RunCompletions
from chimera_s1.app.capabilities.funding.settle_funding import SettleFunding
from chimera_s1.app.capabilities.operations.relay_log import PAGE, RelayLog
from chimera_s1.domain.errors import ClockUncertainError, StoreUnavailableError
from chimera_s1.domain.funding.health import FundingReport
from chimera_s1.domain.funding.reading_windows import proven_window
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.funding_store import FundingStore

REVIEW_MS, INCOMPLETE_REVIEW_MS = 60_000.0, 5_000.0


class Reviewed(Struct, frozen=True, kw_only=True):
    """What the store said last.

    Attributes:
        announced: Records that wait for the relay; more than a page of them are not counted.
    """

    proven: Window | None = None
    new_disputes: int = 0
    disputes: int = 0
    announced: int = 0


class ReviewHistory:
    """Every instance looks for itself; only `report` is read by others."""

    def __init__(
        self,
        store: FundingStore,
        cursors: CursorStore,
        *,
        exchange: ExchangeTime,
        settle: SettleFunding,
        history: CompleteHistory,
        completions: RunCompletions,
        relay: RelayLog,
        history_days: int,
    ) -> None:
        self._store = store
        self._cursors = cursors
        self._exchange = exchange
        self._settle = settle
        self._history = history
        self._completions = completions
        self._relay = relay
        self._history_days = history_days
        self._store_problem = ""
        self.reviewed = Reviewed()

    async def review(self) -> float:
        """Look once; return the wait until the next time, ms."""
        try:
            self.reviewed = await self._look()
            self._store_problem = ""
        except StoreUnavailableError as error:
            self._store_problem = str(error)
        except ClockUncertainError:
            pass  # clock.perp says it
        return REVIEW_MS if self.report().level is Level.GREEN else INCOMPLETE_REVIEW_MS

    async def _look(self) -> Reviewed:
        now = self._exchange.now_ms()
        await self._settle.forget_stored()
        await self._history.refused.forget_stored(self._store)
        disputes = await self._store.disputes()
        cursor = await self._cursors.read(CURSOR)
        announced = await self._store.announced(after=cursor, limit=PAGE)
        return Reviewed(
            proven=proven_window((await self._store.coverage()).values()),
            disputes=len(disputes),
            new_disputes=sum(now - each.found_at < DAY_MS for each in disputes),
            announced=len(announced),
        )

    def report(self) -> FundingReport:
        reviewed = self.reviewed
        behind_ms, missing_days = self._proven(reviewed.proven)
        return FundingReport(
            behind_ms=behind_ms,
            missing_days=missing_days,
            gaps=self._completions.gaps,
            new_disputes=reviewed.new_disputes,
            disputes=reviewed.disputes,
            waiting=self._settle.waiting,
            amounts_problem=self._history.amounts_problem,
            refused=len(self._history.refused),
            store_problem=self._store_problem,
            relay_problem=self._relay.last_error,
        )

    def _proven(self, proven: Window | None) -> tuple[float | None, int]:
        try:
            now = self._exchange.now_ms()
        except ClockUncertainError:
            return None, 0
        if proven is None:
            return None, 0
        oldest = now - self._history_days * DAY_MS
        return max(0, now - proven.end), max(0, proven.start - oldest) // DAY_MS
