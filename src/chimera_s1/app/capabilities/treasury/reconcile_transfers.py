"""Reconcile transfers with the exchange's histories.

Finds the outcome of transfers without a reply, verifies those with one, and watches those that
failed without proof. Only this module, or an operator, resolves an unknown outcome.

It works in rounds: one read of the histories, matched with all transfers that are due. The number
of requests does not grow with the number of transfers.
"""

from collections.abc import Awaitable, Callable, Sequence

from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.treasury.conclude_outcomes import ACTOR, ConcludeOutcomes
from chimera_s1.app.capabilities.treasury.execute_transfers import LEDGER_ERRORS
from chimera_s1.app.capabilities.treasury.reconciliation_schedule import (
    ReconciliationPace,
    ReconciliationSchedule,
)
from chimera_s1.app.capabilities.treasury.shared_histories import SharedHistories
from chimera_s1.app.capabilities.treasury.transfer_streams import streams_of
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import LedgerTooNewError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.treasury_gateway import TreasuryGateway
from chimera_s1.domain.treasury.movement_matching import MovementMatch, assign_movements, match_of
from chimera_s1.domain.treasury.reconciliation import (
    Movement,
    MovementStatus,
    NoMatch,
    ReconciliationTiming,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer

POLL_INTERVAL_MS = 500
DEBOUNCE_MS = 100.0  # a round checks all transfers, and none is due at once


class ReconcileTransfers:
    """Args:
    exchange_ms: The exchange's clock, epoch ms.
    is_in_flight: Whether this instance still waits for the reply to a transfer.
    histories_problem: Why the histories are not, or may not be, those of the ledger's account.
    poll_interval_ms: Between reads of the ledger, where other instances write too.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        gateway: TreasuryGateway,
        lease: JobLease,
        *,
        clock: Clock,
        exchange_ms: Callable[[], float],
        is_in_flight: Callable[[TransferId], bool],
        histories_problem: Callable[[], Awaitable[str]],
        timing: ReconciliationTiming,
        pace: ReconciliationPace,
        poll_interval_ms: int = POLL_INTERVAL_MS,
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._lease = lease
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._is_in_flight = is_in_flight
        self._histories_problem = histories_problem
        self._timing = timing
        self._outcomes = ConcludeOutcomes(ledger, clock, exchange_ms, timing)
        self._schedule = ReconciliationSchedule(pace, clock)
        self._poll_interval_ms = poll_interval_ms
        self.last_error = ""
        """Why the last round failed; empty where it succeeded."""

    async def run(self) -> None:
        """Reconcile until cancelled; then another instance can."""
        async with self._lease.released_at_end():
            await self._run_rounds()

    async def _run_rounds(self) -> None:
        while True:
            version = self._ledger.changes.version
            try:
                await self._ledger.catch_up()
                if await self._lease.acquire_or_renew():
                    await self.run_round()
                self.last_error = ""
            except LEDGER_ERRORS as error:
                self.last_error = str(error)
            await self._ledger.changes.wait_after(
                self._clock, self._poll_interval_ms, version=version, debounce_ms=DEBOUNCE_MS
            )

    async def run_round(self) -> None:
        """Check the transfers that are due, if any; none by the histories of another account."""
        due = self._schedule.due_transfers(await self._reconcilable())
        if not due or await self._histories_problem():
            return
        self._schedule.begin_round(due)
        for transfer in due:
            await self._outcomes.mark_unknown_after_deadline(transfer)
        # Before the reads, which show nothing later for certain.
        read_at = round(self._exchange_ms())
        histories = SharedHistories(self._gateway, self._timing, read_at)
        await histories.read_movements(due)
        await self._ledger.catch_up()  # other instances may have claimed movements meanwhile
        await self._conclude_all(self._still_open(due), histories)
        self._schedule.end_round()

    async def _reconcilable(self) -> dict[TransferId, Transfer]:
        """The open transfers whose outcome this instance may look for."""
        transfers = self._ledger.open_transfers
        found: dict[TransferId, Transfer] = {}
        for transfer in (
            *transfers.unresolved.values(),
            *transfers.unverified.values(),
            *transfers.watched_failures.values(),
        ):
            if transfers.find_unknown_event(streams_of(transfer)):
                continue  # a newer version must continue it
            if transfer.mode is not self._gateway.mode:
                await self._request_review_of_other_mode(transfer)
            elif self._is_watched_long_enough(transfer):
                transfers.stop_watching(transfer.transfer_id)
            elif not self._is_in_flight(transfer.transfer_id):
                found[transfer.transfer_id] = transfer
        return found

    def _still_open(self, due: Sequence[Transfer]) -> list[Transfer]:
        """*due* as they are now, without those that ended or are sent again."""
        found = (self._ledger.open_transfers.find(transfer.transfer_id) for transfer in due)
        return [
            now
            for before, now in zip(due, found, strict=True)
            if now is not None and now.attempt == before.attempt and not now.is_queued
        ]

    async def _request_review_of_other_mode(self, transfer: Transfer) -> None:
        """Its movement is in a history that this mode does not read."""
        if transfer.is_unresolved and not transfer.in_review:
            cause = (
                f"sent in mode {transfer.mode.value}, but S1_TREASURY_MODE is "
                f"{self._gateway.mode.value}: restart in mode {transfer.mode.value}, or check the "
                "exchange and resolve"
            )
            await self._outcomes.request_review(transfer, cause)

    async def _conclude_all(
        self, transfers: Sequence[Transfer], histories: SharedHistories
    ) -> None:
        matches = await self._match(transfers, histories)
        unmatched = (t for t in transfers if isinstance(matches[t.transfer_id], NoMatch))
        await histories.read_income(
            [t for t in unmatched if self._outcomes.needs_income(t, histories)]
        )
        for transfer in transfers:
            if not await self._lease.acquire_or_renew():
                return  # another instance has begun a round
            if self._ledger.open_transfers.find(transfer.transfer_id) is not transfer:
                continue  # changed meanwhile: the next round checks it
            state = self._schedule.state_of(transfer)
            match_ = matches[transfer.transfer_id]
            try:
                await self._outcomes.conclude(transfer, match_, histories, state)
            except LedgerTooNewError as error:
                await self._outcomes.report_error(transfer, state, str(error))
        await self._record_foreign(transfers, histories)

    async def _match(
        self, transfers: Sequence[Transfer], histories: SharedHistories
    ) -> dict[TransferId, MovementMatch]:
        """The movement of each transfer; unresolved transfers before watched ones, oldest first."""
        ordered = sorted(
            transfers, key=lambda t: (t.phase is Phase.FAILED, t.signed_at, t.transfer_id)
        )
        candidates = {
            transfer.transfer_id: await self._unclaimed(transfer, histories)
            for transfer in ordered
            if transfer.phase is not Phase.DONE
        }
        assigned = assign_movements(candidates)
        return {t.transfer_id: match_of(assigned.get(t.transfer_id)) for t in transfers}

    async def _unclaimed(self, transfer: Transfer, histories: SharedHistories) -> list[Movement]:
        """The movements that may be the transfer's, without those of other transfers."""
        fitting = histories.movements(transfer.direction).candidates(transfer, self._timing)
        own = {None, transfer.transfer_id}
        return [m for m in fitting if await self._ledger.movement_owner(m.tran_id) in own]

    def _is_watched_long_enough(self, transfer: Transfer) -> bool:
        watched_ms = self._clock.now_ms() - transfer.finished_at
        return transfer.phase is Phase.FAILED and watched_ms > self._timing.watch_ms

    async def _record_foreign(
        self, transfers: Sequence[Transfer], histories: SharedHistories
    ) -> None:
        """Record movements beside an unresolved transfer that no transfer of ours explains."""
        open_transfers = self._ledger.open_transfers
        unresolved = [t for t in transfers if t.transfer_id in open_transfers.unresolved]
        for movement in histories.movements_beside(unresolved):
            known = movement.tran_id in open_transfers.recent_movements
            if known or open_transfers.has_match_for(movement.direction, movement.amount):
                continue
            if movement.status is MovementStatus.CONFIRMED:
                await self._ledger.record_foreign_movement(movement, ACTOR)
