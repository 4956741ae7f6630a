"""Conclude from a round's histories what has happened to a transfer, and record it."""

import logging
from collections.abc import Callable
from typing import assert_never

import anyio

from chimera_s1.app.capabilities.treasury.reconciliation_schedule import ReconciliationState
from chimera_s1.app.capabilities.treasury.shared_histories import SharedHistories
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.commands import (
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordMatched,
    RecordUnknown,
    RecordVerified,
    RequestReview,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.events import Evidence, TreasuryMode
from chimera_s1.domain.treasury.movement_matching import MovementMatch
from chimera_s1.domain.treasury.reconciliation import (
    Conflict,
    Matched,
    MatchPending,
    MatchResult,
    Movement,
    MovementStatus,
    NoMatch,
    ReconciliationTiming,
    cross_check,
    execution_window,
    reads_proving_absence,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer

ACTOR = "s1/reconciler"
REPLY_DEADLINE_MS = 15_000
"""This long after the receive window has closed, no instance waits for a reply any more."""

CLEAN_READS_KEPT = 100

_log = logging.getLogger(__name__)


class ConcludeOutcomes:
    """Args:
    exchange_ms: The exchange's clock, epoch ms.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        clock: Clock,
        exchange_ms: Callable[[], float],
        timing: ReconciliationTiming,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._timing = timing

    async def mark_unknown_after_deadline(self, transfer: Transfer) -> None:
        closed = transfer.signed_at + transfer.recv_window_ms + REPLY_DEADLINE_MS
        if transfer.phase is not Phase.SUBMITTED or self._exchange_ms() <= closed:
            return
        cause = "no reply was recorded: the process ended first"
        await self._execute(transfer, RecordUnknown(transfer.attempt, cause, self._clock.now_ms()))

    def needs_income(self, transfer: Transfer, histories: SharedHistories) -> bool:
        """Whether the absence of a movement could prove something; the income read is costly."""
        readable = not histories.movement_error(transfer)
        return (
            transfer.is_unresolved and readable and histories.read_at > self._visible_ms(transfer)
        )

    async def conclude(
        self,
        transfer: Transfer,
        match_: MovementMatch,
        histories: SharedHistories,
        state: ReconciliationState,
    ) -> None:
        """Raises: StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Not recorded."""
        error = histories.movement_error(transfer)
        match transfer.phase:
            case Phase.SUBMITTED | Phase.UNKNOWN:
                if error and not isinstance(match_, Matched):
                    await self.report_error(transfer, state, error)
                else:
                    await self._conclude_unresolved(transfer, match_, histories, state)
            case Phase.DONE if not error:
                await self._verify(transfer, histories)
            case Phase.FAILED if isinstance(match_, Matched):
                await self._complete(transfer, match_.movement)
            case Phase.REQUESTED | Phase.DONE | Phase.FAILED | Phase.REJECTED:
                pass
            case _:
                assert_never(transfer.phase)

    async def report_error(
        self, transfer: Transfer, state: ReconciliationState, error: str
    ) -> None:
        """Log *error* once, however many rounds it lasts, and request a review in the end."""
        if state.last_error != error:
            _log.warning("cannot reconcile transfer %s: %s; retrying", transfer.transfer_id, error)
        state.last_error = error
        if transfer.is_unresolved:
            await self._request_review_if_overdue(transfer, state)

    async def request_review(self, transfer: Transfer, cause: str) -> None:
        await self._execute(transfer, RequestReview(cause, self._clock.now_ms()))

    async def _conclude_unresolved(
        self,
        transfer: Transfer,
        result: MatchResult,
        histories: SharedHistories,
        state: ReconciliationState,
    ) -> None:
        if isinstance(result, NoMatch) and self.needs_income(transfer, histories):
            if income_error := histories.income_error(transfer):
                await self.report_error(transfer, state, income_error)
                return
            result = self._check_income(transfer, histories)
        match result:
            case Matched(movement=movement):
                await self._complete(transfer, movement)
                return
            case NoMatch():
                await self._conclude_absence(transfer, state, histories.read_at)
            case MatchPending(movement=movement):
                state.reset_clean_reads(f"movement {movement.tran_id} is PENDING at the exchange")
            case Conflict(cause=cause):
                state.reset_clean_reads(cause)
            case _:
                assert_never(result)
        await self._request_review_if_overdue(transfer, state)

    def _check_income(self, transfer: Transfer, histories: SharedHistories) -> NoMatch | Conflict:
        movements = histories.movements(transfer.direction).of_same_amount(transfer)
        income = histories.income_of_same_amount(transfer)
        return cross_check(transfer, self._timing, movements, income)

    async def _conclude_absence(
        self, transfer: Transfer, state: ReconciliationState, read_at: int
    ) -> None:
        state.last_error = ""
        state.clean_reads = (*state.clean_reads, read_at)[-CLEAN_READS_KEPT:]
        reads = reads_proving_absence(transfer, self._timing, state.clean_reads)
        if reads:
            command = RecordAbsent(transfer.attempt, reads, self._clock.now_ms())
            await self._execute(transfer, command)

    async def _request_review_if_overdue(
        self, transfer: Transfer, state: ReconciliationState
    ) -> None:
        overdue_ms = self._visible_ms(transfer) + self._timing.review_after_ms
        if transfer.in_review or self._exchange_ms() <= overdue_ms:
            return
        cause = state.last_error or "no movement found, but too few complete reads"
        await self.request_review(transfer, cause)

    async def _verify(self, transfer: Transfer, histories: SharedHistories) -> None:
        own = histories.movements(transfer.direction).by_tran_id.get(transfer.tran_id)
        now = self._clock.now_ms()
        if own is None:
            if histories.read_at > self._visible_ms(transfer):
                cause = (
                    f"the exchange reported success, but its history has no movement "
                    f"{transfer.tran_id}"
                )
                await self._execute(transfer, RecordDisputed(cause, now))
            return
        match own.status:
            case MovementStatus.CONFIRMED:
                await self._execute(transfer, RecordVerified(own.tran_id))
            case MovementStatus.FAILED:
                cause = (
                    f"the exchange reported success, but its history shows movement {own.tran_id} "
                    "as FAILED"
                )
                await self._execute(transfer, RecordDisputed(cause, now))
            case MovementStatus.PENDING:
                pass
            case _:
                assert_never(own.status)

    def _visible_ms(self, transfer: Transfer) -> int:
        """When its movement is in the history at the latest, exchange epoch ms."""
        return execution_window(transfer, self._timing).end + self._timing.history_lag_ms

    async def _complete(self, transfer: Transfer, movement: Movement) -> None:
        now = self._clock.now_ms()
        command: TreasuryCommand = RecordMatched(transfer.attempt, movement.tran_id, now)
        if transfer.mode is TreasuryMode.SUBACCOUNT:  # its client id says that it is ours
            command = RecordCompleted(transfer.attempt, movement.tran_id, Evidence.HISTORY, now)
        await self._execute(transfer, command)

    async def _execute(self, transfer: Transfer, command: TreasuryCommand) -> None:
        with anyio.CancelScope(shield=True):
            await self._ledger.execute(transfer.transfer_id, command, ACTOR)
