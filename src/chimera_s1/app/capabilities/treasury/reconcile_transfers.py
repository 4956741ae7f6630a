"""Reconcile transfers with the exchange's histories.

Finds the outcome of transfers without a reply, verifies those with one, and watches those that
failed without proof. Only this module, or an operator, resolves an unknown outcome.
"""

import logging
from collections.abc import Callable
from typing import assert_never

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.ledger.job_lease import JobLease
from chimera_s1.app.capabilities.treasury.execute_transfers import LEDGER_ERRORS
from chimera_s1.app.capabilities.treasury.transfer_streams import streams_of
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    LedgerTooNewError,
)
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.treasury_gateway import TreasuryGateway
from chimera_s1.domain.treasury.commands import (
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordUnknown,
    RecordVerified,
    RequestReview,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.events import Evidence
from chimera_s1.domain.treasury.limits import Direction
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
    find_match,
    reads_proving_absence,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer

ACTOR = "s1/reconciler"
POLL_INTERVAL_MS = 500
DEBOUNCE_MS = 100.0  # a round checks all transfers, and none is due at once
WATCH_INTERVAL_MS = 300_000
REPLY_DEADLINE_MS = 15_000
"""This long after the receive window has closed, no instance waits for a reply any more."""

CLEAN_READS_KEPT = 100

_log = logging.getLogger(__name__)


class ReconciliationState(Struct):
    """The progress on one transfer; in memory only, so a restart begins again.

    Attributes:
        next_check_ms: Monotonic ms.
        clean_reads: Complete reads without a matching movement, exchange epoch ms.
        last_error: Of the last check; empty where it was clean.
    """

    next_check_ms: float
    checks: int = 0
    clean_reads: tuple[int, ...] = ()
    last_error: str = ""

    def reset_clean_reads(self, cause: str) -> None:
        self.clean_reads = ()
        self.last_error = cause


class ReconcileTransfers:
    """Args:
    exchange_ms: The exchange's clock, epoch ms.
    is_in_flight: Whether this instance still waits for the reply to a transfer.
    check_backoff: Between checks of one transfer.
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
        timing: ReconciliationTiming,
        check_backoff: Backoff,
        poll_interval_ms: int = POLL_INTERVAL_MS,
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._lease = lease
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._is_in_flight = is_in_flight
        self._timing = timing
        self._check_backoff = check_backoff
        self._poll_interval_ms = poll_interval_ms
        self._states: dict[TransferId, ReconciliationState] = {}
        self._confirmed_tran_ids: dict[Direction, frozenset[str]] = {}
        self.last_error = ""
        """Why the last round failed; empty where it succeeded."""

    async def run(self) -> None:
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
        transfers = self._ledger.open_transfers
        watched = {
            **transfers.unresolved,
            **transfers.unverified,
            **transfers.watched_failures,
        }
        for transfer_id in self._states.keys() - watched.keys():
            del self._states[transfer_id]
        for transfer in watched.values():
            if transfers.find_unknown_event(streams_of(transfer)):
                continue  # a newer version must continue it
            if transfer.mode is not self._gateway.mode:
                await self._request_review_of_other_mode(transfer)
            elif not self._is_in_flight(transfer.transfer_id):
                await self._check_when_due(transfer)

    async def _request_review_of_other_mode(self, transfer: Transfer) -> None:
        """Its movement is in a history that this mode does not read."""
        if transfer.is_unresolved and not transfer.in_review:
            cause = (
                f"sent in mode {transfer.mode.value}, but S1_TREASURY_MODE is "
                f"{self._gateway.mode.value}: restart in mode {transfer.mode.value}, or check the "
                "exchange and resolve"
            )
            await self._execute(transfer, RequestReview(cause, self._clock.now_ms()))

    async def _check_when_due(self, transfer: Transfer) -> None:
        now_ms = self._clock.monotonic_ms()
        state = self._states.setdefault(
            transfer.transfer_id, ReconciliationState(now_ms + self._check_backoff.base_ms)
        )
        if now_ms < state.next_check_ms:
            return
        state.checks += 1
        watched = transfer.phase is Phase.FAILED
        wait_ms = WATCH_INTERVAL_MS if watched else self._check_backoff.wait_ms(state.checks, 0.0)
        state.next_check_ms = now_ms + wait_ms
        try:
            await self._reconcile(transfer, state)
        except (ExchangeUnavailableError, ExchangeRefusedError, LedgerTooNewError) as error:
            state.last_error = str(error)
            _log.warning("cannot reconcile transfer %s: %s; retrying", transfer.transfer_id, error)
            await self._request_review_if_overdue(transfer, state)
        state.next_check_ms = self._clock.monotonic_ms() + wait_ms

    async def _reconcile(self, transfer: Transfer, state: ReconciliationState) -> None:
        match transfer.phase:
            case Phase.SUBMITTED | Phase.UNKNOWN:
                await self._reconcile_unresolved(transfer, state)
            case Phase.DONE:
                await self._verify(transfer)
            case Phase.FAILED:
                await self._watch_failed(transfer)
            case Phase.REQUESTED | Phase.REJECTED:
                pass
            case _:
                assert_never(transfer.phase)

    async def _reconcile_unresolved(self, transfer: Transfer, state: ReconciliationState) -> None:
        if transfer.phase is Phase.SUBMITTED:
            await self._mark_unknown_after_deadline(transfer)
        # Before the read, which shows nothing later for certain.
        read_at = round(self._exchange_ms())
        movements = await self._movements(transfer)
        claimed = await self._claimed_by_others(transfer, movements)
        result: MatchResult = find_match(transfer, self._timing, movements, claimed)
        if isinstance(result, NoMatch):
            result = await self._check_income(transfer, movements, read_at)
        match result:
            case Matched(movement=movement):
                await self._complete(transfer, movement)
                return
            case NoMatch():
                await self._conclude_absence(transfer, state, read_at)
            case MatchPending(movement=movement):
                state.reset_clean_reads(f"movement {movement.tran_id} is PENDING at the exchange")
            case Conflict(cause=cause):
                state.reset_clean_reads(cause)
            case _:
                assert_never(result)
        await self._request_review_if_overdue(transfer, state)
        await self._record_foreign(movements, claimed)

    async def _check_income(
        self, transfer: Transfer, movements: tuple[Movement, ...], read_at: int
    ) -> NoMatch | Conflict:
        if read_at <= self._visible_ms(transfer):
            return NoMatch()  # too early for a conclusion; the income history costs more weight
        window = execution_window(transfer, self._timing)
        income = await self._gateway.read_income(window)
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

    async def _mark_unknown_after_deadline(self, transfer: Transfer) -> None:
        closed = transfer.signed_at + transfer.recv_window_ms + REPLY_DEADLINE_MS
        if self._exchange_ms() <= closed:
            return
        cause = "no reply was recorded: the process ended first"
        await self._execute(transfer, RecordUnknown(transfer.attempt, cause, self._clock.now_ms()))

    async def _request_review_if_overdue(
        self, transfer: Transfer, state: ReconciliationState
    ) -> None:
        if not transfer.is_unresolved:
            return
        if self._exchange_ms() <= self._visible_ms(transfer) + self._timing.review_after_ms:
            return
        cause = state.last_error or "no movement found, but too few complete reads"
        await self._execute(transfer, RequestReview(cause, self._clock.now_ms()))

    async def _verify(self, transfer: Transfer) -> None:
        # An earlier read, for another transfer, may have shown the movement already.
        if transfer.tran_id in self._confirmed_tran_ids.get(transfer.direction, ()):
            await self._execute(transfer, RecordVerified(transfer.tran_id))
            return
        movements = await self._movements(transfer)
        own = next((m for m in movements if m.tran_id == transfer.tran_id), None)
        now = self._clock.now_ms()
        if own is None:
            if self._exchange_ms() > self._visible_ms(transfer):
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

    async def _watch_failed(self, transfer: Transfer) -> None:
        if self._clock.now_ms() - transfer.finished_at > self._timing.watch_ms:
            self._ledger.open_transfers.stop_watching(transfer.transfer_id)
            return
        movements = await self._movements(transfer)
        claimed = await self._claimed_by_others(transfer, movements)
        result = find_match(transfer, self._timing, movements, claimed)
        if isinstance(result, Matched):
            await self._complete(transfer, result.movement)

    def _visible_ms(self, transfer: Transfer) -> int:
        """When its movement is in the history at the latest, exchange epoch ms."""
        return execution_window(transfer, self._timing).end + self._timing.history_lag_ms

    async def _complete(self, transfer: Transfer, movement: Movement) -> None:
        now = self._clock.now_ms()
        command = RecordCompleted(transfer.attempt, movement.tran_id, Evidence.HISTORY, now)
        await self._execute(transfer, command)

    async def _execute(self, transfer: Transfer, command: TreasuryCommand) -> None:
        with anyio.CancelScope(shield=True):
            await self._ledger.execute(transfer.transfer_id, command, ACTOR)

    async def _movements(self, transfer: Transfer) -> tuple[Movement, ...]:
        window = execution_window(transfer, self._timing)
        movements = await self._gateway.read_movements(transfer.direction, window)
        self._confirmed_tran_ids[transfer.direction] = frozenset(
            each.tran_id for each in movements if each.status is MovementStatus.CONFIRMED
        )
        return movements

    async def _claimed_by_others(
        self, transfer: Transfer, movements: tuple[Movement, ...]
    ) -> frozenset[str]:
        owners = {m.tran_id: await self._ledger.movement_owner(m.tran_id) for m in movements}
        own = {None, transfer.transfer_id}
        return frozenset(tran_id for tran_id, owner in owners.items() if owner not in own)

    async def _record_foreign(
        self, movements: tuple[Movement, ...], claimed: frozenset[str]
    ) -> None:
        """Record movements that no transfer of this service explains."""
        for movement in movements:
            explained = movement.tran_id in claimed or self._ledger.open_transfers.has_match_for(
                movement.direction, movement.amount
            )
            if not explained and movement.status is MovementStatus.CONFIRMED:
                await self._ledger.record_foreign_movement(movement, ACTOR)
