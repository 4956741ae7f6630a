"""Reconcile transfers: find out from the exchange's own histories what became of those whose reply
never came, confirm those whose reply did, and keep an eye on those that were given up.

The one place, beside an operator, where an unknown outcome becomes a known one.
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
DEBOUNCE_MS = 100.0  # a round looks at all, and nothing is due as soon as it has happened
WATCH_INTERVAL_MS = 300_000
REPLY_DEADLINE_MS = 15_000
"""No instance still waits for a reply so long after the receive window has closed."""

CLEAN_READS_KEPT = 100

_log = logging.getLogger(__name__)


class ReconciliationState(Struct):
    """How the examination of one transfer goes; kept in memory, so a restart begins it anew.

    Attributes:
        next_check_ms: When it is looked at next, monotonic ms.

        checks: How often it was.

        clean_reads: Complete reads that showed nothing, exchange epoch ms.

        last_error: What the last look said; empty where it was clean.
    """

    next_check_ms: float
    checks: int = 0
    clean_reads: tuple[int, ...] = ()
    last_error: str = ""

    def reset_clean_reads(self, cause: str) -> None:
        """A complete read did show something: silence has to begin anew."""
        self.clean_reads = ()
        self.last_error = cause


class ReconcileTransfers:
    """Args:
    ledger: Where the open transfers stand.

    gateway: The exchange's histories.

    lease: Whether this instance reconciles.

    clock: Time and waiting.

    exchange_ms: The exchange's clock, epoch ms.

    is_in_flight: Whether this instance still waits for the reply about a transfer.

    timing: How long absence must last before it is believed.

    check_backoff: Waits between looks at one transfer.

    poll_interval_ms: Longest between looks at the ledger, where other instances write too.
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
        self._patience = timing
        self._looks = check_backoff
        self._look_ms = poll_interval_ms
        self._states: dict[TransferId, ReconciliationState] = {}
        self._confirmed_tran_ids: dict[Direction, frozenset[str]] = {}
        self.last_error = ""
        """Why the last round could not do its work; empty where it could."""

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            rung = self._ledger.changes.version
            try:
                await self._ledger.catch_up()
                if await self._lease.acquire_or_renew():
                    await self.run_round()
                self.last_error = ""
            except LEDGER_ERRORS as error:
                self.last_error = str(error)
            await self._ledger.changes.wait_after(
                self._clock, self._look_ms, version=rung, debounce_ms=DEBOUNCE_MS
            )

    async def run_round(self) -> None:
        """Look at every transfer that is due."""
        book = self._ledger.open_transfers
        watched = {**book.unresolved, **book.unverified, **book.watched_failures}
        for gone in self._states.keys() - watched.keys():
            del self._states[gone]
        for transfer in watched.values():
            if book.find_unknown_event(streams_of(transfer)):
                continue  # a newer program's to go on with
            if transfer.mode is not self._gateway.mode:
                await self._request_review_of_other_mode(transfer)
            elif not self._is_in_flight(transfer.transfer_id):
                await self._check_when_due(transfer)

    async def _request_review_of_other_mode(self, transfer: Transfer) -> None:
        """Its movement is in another history than the one that is read here."""
        if transfer.is_unresolved and not transfer.in_review:
            cause = (
                f"sent in mode {transfer.mode.value}, and S1_TREASURY_MODE is "
                f"{self._gateway.mode.value}: start in that mode again, or look and resolve"
            )
            await self._execute(transfer, RequestReview(cause, self._clock.now_ms()))

    async def _check_when_due(self, transfer: Transfer) -> None:
        now_ms = self._clock.monotonic_ms()
        examination = self._states.setdefault(
            transfer.transfer_id, ReconciliationState(now_ms + self._looks.base_ms)
        )
        if now_ms < examination.next_check_ms:
            return
        examination.checks += 1
        watched = transfer.phase is Phase.FAILED
        wait_ms = WATCH_INTERVAL_MS if watched else self._looks.wait_ms(examination.checks, 0.0)
        examination.next_check_ms = now_ms + wait_ms
        try:
            await self._reconcile(transfer, examination)
        except (ExchangeUnavailableError, ExchangeRefusedError, LedgerTooNewError) as error:
            examination.last_error = str(error)
            _log.warning("transfer %s cannot be reconciled: %s", transfer.transfer_id, error)
            await self._request_review_if_overdue(transfer, examination)
        examination.next_check_ms = self._clock.monotonic_ms() + wait_ms

    async def _reconcile(self, transfer: Transfer, examination: ReconciliationState) -> None:
        match transfer.phase:
            case Phase.SUBMITTED | Phase.UNKNOWN:
                await self._reconcile_unresolved(transfer, examination)
            case Phase.DONE:
                await self._verify(transfer)
            case Phase.FAILED:
                await self._watch_failed(transfer)
            case Phase.REQUESTED | Phase.REJECTED:
                pass
            case _:
                assert_never(transfer.phase)

    async def _reconcile_unresolved(
        self, transfer: Transfer, examination: ReconciliationState
    ) -> None:
        if transfer.phase is Phase.SUBMITTED:
            await self._mark_unknown_after_deadline(transfer)
        read_at = round(self._exchange_ms())  # before it: a read shows no later moment for certain
        movements = await self._movements(transfer)
        claimed = await self._claimed_by_others(transfer, movements)
        finding: MatchResult = find_match(transfer, self._patience, movements, claimed)
        if isinstance(finding, NoMatch):
            finding = await self._check_income(transfer, movements, read_at)
        match finding:
            case Matched(movement=movement):
                await self._complete(transfer, movement)
                return
            case NoMatch():
                await self._conclude_absence(transfer, examination, read_at)
            case MatchPending(movement=movement):
                examination.reset_clean_reads(
                    f"movement {movement.tran_id} is PENDING at the exchange"
                )
            case Conflict(cause=cause):
                examination.reset_clean_reads(cause)
            case _:
                assert_never(finding)
        await self._request_review_if_overdue(transfer, examination)
        await self._record_foreign(movements, claimed)

    async def _check_income(
        self, transfer: Transfer, movements: tuple[Movement, ...], read_at: int
    ) -> NoMatch | Conflict:
        window = execution_window(transfer, self._patience)
        if read_at <= window.end + self._patience.history_lag_ms:
            return NoMatch()  # too early to conclude anything: the second history is dearer
        income = await self._gateway.read_income(window)
        return cross_check(transfer, self._patience, movements, income)

    async def _conclude_absence(
        self, transfer: Transfer, examination: ReconciliationState, read_at: int
    ) -> None:
        examination.last_error = ""
        examination.clean_reads = (*examination.clean_reads, read_at)[-CLEAN_READS_KEPT:]
        reads = reads_proving_absence(transfer, self._patience, examination.clean_reads)
        if reads:
            command = RecordAbsent(transfer.attempt, reads, self._clock.now_ms())
            await self._execute(transfer, command)

    async def _mark_unknown_after_deadline(self, transfer: Transfer) -> None:
        closed = transfer.signed_at + transfer.recv_window_ms + REPLY_DEADLINE_MS
        if self._exchange_ms() <= closed:
            return
        cause = "what came of the request was not written down: the process ended before it could"
        await self._execute(transfer, RecordUnknown(transfer.attempt, cause, self._clock.now_ms()))

    async def _request_review_if_overdue(
        self, transfer: Transfer, examination: ReconciliationState
    ) -> None:
        if not transfer.is_unresolved:
            return
        undecided = execution_window(transfer, self._patience).end + self._patience.history_lag_ms
        if self._exchange_ms() <= undecided + self._patience.review_after_ms:
            return
        cause = (
            examination.last_error or "the histories stay silent, and too few reads were complete"
        )
        await self._execute(transfer, RequestReview(cause, self._clock.now_ms()))

    async def _verify(self, transfer: Transfer) -> None:
        if transfer.tran_id in self._confirmed_tran_ids.get(
            transfer.direction, ()
        ):  # read for another
            await self._execute(transfer, RecordVerified(transfer.tran_id))
            return
        movements = await self._movements(transfer)
        own = next((m for m in movements if m.tran_id == transfer.tran_id), None)
        now = self._clock.now_ms()
        if own is None:
            late = execution_window(transfer, self._patience).end + self._patience.history_lag_ms
            if self._exchange_ms() > late:
                cause = f"the exchange said done, and its history has no {transfer.tran_id}"
                await self._execute(transfer, RecordDisputed(cause, now))
            return
        match own.status:
            case MovementStatus.CONFIRMED:
                await self._execute(transfer, RecordVerified(own.tran_id))
            case MovementStatus.FAILED:
                cause = f"the exchange said done, and its history says {own.tran_id} FAILED"
                await self._execute(transfer, RecordDisputed(cause, now))
            case MovementStatus.PENDING:
                pass
            case _:
                assert_never(own.status)

    async def _watch_failed(self, transfer: Transfer) -> None:
        if self._clock.now_ms() - transfer.finished_at > self._patience.watch_ms:
            self._ledger.open_transfers.stop_watching(transfer.transfer_id)
            return
        movements = await self._movements(transfer)
        claimed = await self._claimed_by_others(transfer, movements)
        finding = find_match(transfer, self._patience, movements, claimed)
        if isinstance(finding, Matched):
            await self._complete(transfer, finding.movement)

    async def _complete(self, transfer: Transfer, movement: Movement) -> None:
        now = self._clock.now_ms()
        evidence = Evidence.HISTORY
        command = RecordCompleted(transfer.attempt, movement.tran_id, evidence, now)
        await self._execute(transfer, command)

    async def _execute(self, transfer: Transfer, command: TreasuryCommand) -> None:
        with anyio.CancelScope(shield=True):
            await self._ledger.execute(transfer.transfer_id, command, ACTOR)

    async def _movements(self, transfer: Transfer) -> tuple[Movement, ...]:
        window = execution_window(transfer, self._patience)
        movements = await self._gateway.read_movements(transfer.direction, window)
        self._confirmed_tran_ids[transfer.direction] = frozenset(
            each.tran_id for each in movements if each.status is MovementStatus.CONFIRMED
        )
        return movements

    async def _claimed_by_others(
        self, transfer: Transfer, movements: tuple[Movement, ...]
    ) -> frozenset[str]:
        claimants = {m.tran_id: await self._ledger.movement_owner(m.tran_id) for m in movements}
        own = {None, transfer.transfer_id}
        return frozenset(name for name, claimant in claimants.items() if claimant not in own)

    async def _record_foreign(
        self, movements: tuple[Movement, ...], claimed: frozenset[str]
    ) -> None:
        """Movements that no transfer of ours can explain: somebody uses the same account."""
        for movement in movements:
            explained = movement.tran_id in claimed or self._ledger.open_transfers.has_match_for(
                movement.direction, movement.amount
            )
            if not explained and movement.status is MovementStatus.CONFIRMED:
                await self._ledger.record_foreign_movement(movement, ACTOR)
