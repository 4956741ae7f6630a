"""Execute transfers: sign, record the start, send once, record the reply.

No attempt is signed or sent twice. The exchange itself refuses a request that is sent late, because
its signed timestamp is outside the receive window.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import assert_never

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.treasury.transfer_admission import TransferAdmission
from chimera_s1.app.capabilities.treasury.transfer_streams import streams_of
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.app.capabilities.treasury.uncertain_submissions import UncertainSubmissions
from chimera_s1.domain.errors import (
    AppendUncertainError,
    ClockUncertainError,
    LedgerDamagedError,
    LedgerTooNewError,
    StoreUnavailableError,
)
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    RequestNotSent,
    SignedTransfer,
    SubmissionReply,
    TransferSubmission,
    TreasuryGateway,
)
from chimera_s1.domain.treasury.commands import (
    ExpireTransfer,
    RecordCompleted,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    StartSubmission,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.decisions import is_expired
from chimera_s1.domain.treasury.events import Evidence, NotExecutedReason, SubmissionStarted
from chimera_s1.domain.treasury.reconciliation import client_id_of
from chimera_s1.domain.treasury.transfer import Transfer

ACTOR = "s1/executor"
CLOCK_REFRESH_MS = 2_000
"""Time for the clock patrol to measure again, multiplied by the number of the attempt."""

IN_FLIGHT_MAX = 8
"""Requests in flight at once."""

LEDGER_ERRORS = (StoreUnavailableError, LedgerDamagedError, LedgerTooNewError)

_log = logging.getLogger(__name__)


class SubmissionPolicy(Struct, frozen=True, kw_only=True):
    """When a transfer is sent, ms.

    Attributes:
        recv_window_ms: How long the exchange accepts a signed request; stops a request that a
            paused process sends late.
        min_remaining_ms: A request is not sent when less than this is left of the window.
        max_age_ms: A transfer not sent within this time expires.
        poll_interval_ms: Between reads of the ledger, where other instances write too.
        retry_backoff: Between attempts that were not sent.
        record_backoff: Between tries to record a reply.
    """

    recv_window_ms: int = 5_000
    min_remaining_ms: int = 1_000
    max_age_ms: int = 600_000
    poll_interval_ms: int = 500
    retry_backoff: Backoff = Backoff(base_ms=500, max_wait_ms=15_000, jitter_ms=250)
    record_backoff: Backoff = Backoff(base_ms=200, max_wait_ms=5_000, jitter_ms=100)


class ExecuteTransfers:
    """Args:
    exchange_ms: The exchange's clock, epoch ms; raises ClockUncertainError.
    confirm_account: Checks again, before each request, that this ledger may move the money.
    on_clock_suspect: Called when the exchange rejects our timestamp.
    draw: Uniform in [0, 1).
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        gateway: TreasuryGateway,
        lease: JobLease,
        admission: TransferAdmission,
        *,
        clock: Clock,
        exchange_ms: Callable[[], float],
        confirm_account: Callable[[], Awaitable[None]],
        on_clock_suspect: Callable[[], None],
        draw: Callable[[], float],
        policy: SubmissionPolicy,
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._lease = lease
        self._admission = admission
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._confirm_account = confirm_account
        self._on_clock_suspect = on_clock_suspect
        self._draw = draw
        self._policy = policy
        self._in_flight: set[TransferId] = set()
        self._uncertain = UncertainSubmissions(ledger, clock)
        self._unrecorded_errors: dict[TransferId, str] = {}
        self._round_error = ""
        self._stopping = False

    @property
    def last_error(self) -> str:
        """Why the last round failed, or a reply is not recorded; empty while all is well."""
        return next(iter(self._unrecorded_errors.values()), self._round_error)

    def is_in_flight(self, transfer_id: TransferId) -> bool:
        """Whether this instance is sending its request or recording the reply."""
        return transfer_id in self._in_flight

    def clock_problem(self) -> str:
        """Why nothing can be signed now: the exchange's clock is not known; empty if it is."""
        try:
            self._exchange_ms()
        except ClockUncertainError as error:
            return str(error)
        return ""

    def stop(self) -> None:
        """Start nothing new; `run` ends with the requests in flight."""
        self._stopping = True
        self._ledger.changes.notify()

    async def run(self) -> None:
        """Execute until stopped or cancelled."""
        async with anyio.create_task_group() as tasks:
            while not self._stopping:
                version = self._ledger.changes.version
                await self._poll(tasks)
                await self._ledger.changes.wait_after(
                    self._clock, self._policy.poll_interval_ms, version=version
                )
        await self._lease.release()

    async def _poll(self, tasks: TaskGroup) -> None:
        try:
            await self._ledger.catch_up()
            if await self._lease.acquire_or_renew():
                await self._run_round(tasks)
            self._round_error = ""
        except LEDGER_ERRORS as error:
            self._round_error = str(error)

    async def _run_round(self, tasks: TaskGroup) -> None:
        await self._uncertain.retract(ACTOR)
        blocked = self._admission.blocking_reason() or self.clock_problem()
        for transfer in tuple(self._ledger.open_transfers.queued.values()):
            if self._stopping or transfer.transfer_id in self._in_flight:
                continue
            if self._ledger.open_transfers.find_unknown_event(streams_of(transfer)):
                continue  # a newer version must continue it
            if is_expired(transfer, self._policy.max_age_ms, self._clock.now_ms()):
                await self._expire(transfer)
            elif not blocked and self._is_due(transfer):
                self._in_flight.add(transfer.transfer_id)
                tasks.start_soon(self._submit, transfer)

    def _is_due(self, transfer: Transfer) -> bool:
        return (
            transfer.mode is self._gateway.mode  # else its attempts would be of two kinds
            and len(self._in_flight) < IN_FLIGHT_MAX
            and transfer.not_before_ms <= self._clock.now_ms()
            and not self._ledger.open_transfers.lookalikes(transfer)
            and not self._lookalike_in_flight(transfer)
        )

    def _lookalike_in_flight(self, transfer: Transfer) -> bool:
        waiting = self._ledger.open_transfers.queued
        return any(
            (waiting[other].direction, waiting[other].amount)
            == (transfer.direction, transfer.amount)
            for other in self._in_flight
            if other in waiting
        )

    async def _expire(self, transfer: Transfer) -> None:
        command = ExpireTransfer(self._policy.max_age_ms, self._clock.now_ms())
        await self._ledger.execute(transfer.transfer_id, command, ACTOR)

    async def _submit(self, transfer: Transfer) -> None:
        try:
            await self._attempt(transfer)
        except LEDGER_ERRORS as error:
            self._round_error = str(error)
            _log.warning("transfer %s: %s", transfer.transfer_id, error)
        except ClockUncertainError as error:
            _log.warning("transfer %s waits: %s", transfer.transfer_id, error)
        else:
            self._ledger.changes.notify()  # not after a failure, which would be retried at once
        finally:
            self._in_flight.discard(transfer.transfer_id)

    async def _attempt(self, transfer: Transfer) -> None:
        signed, command = self._sign(transfer)
        attempt = transfer.attempt + 1
        try:
            result = await self._ledger.execute(transfer.transfer_id, command, ACTOR)
        except AppendUncertainError as error:
            # If it was written, the attempt looks as if it had been sent.
            self._uncertain.add(transfer.transfer_id, attempt, error.commit_id)
            raise
        if any(isinstance(event, SubmissionStarted) for event in result.events):
            reply = await self._send(signed, command)
            await self._record_reply(transfer.transfer_id, attempt, reply)

    def _sign(self, transfer: Transfer) -> tuple[SignedTransfer, StartSubmission]:
        signed_at = round(self._exchange_ms())
        submission = TransferSubmission(
            direction=transfer.direction,
            amount=transfer.amount,
            client_id=client_id_of(transfer.transfer_id, transfer.attempt + 1),
            signed_at=signed_at,
            recv_window_ms=self._policy.recv_window_ms,
        )
        signed = self._gateway.sign(submission)
        return signed, StartSubmission(
            attempt=transfer.attempt + 1,
            signed_at=signed_at,
            recv_window_ms=submission.recv_window_ms,
            request_hash=signed.request_hash,
            max_age_ms=self._policy.max_age_ms,
            at=self._clock.now_ms(),
        )

    async def _send(self, signed: SignedTransfer, command: StartSubmission) -> SubmissionReply:
        await self._confirm_account()
        blocked = self._admission.blocking_reason()
        if blocked:
            return RequestNotSent(blocked)
        try:
            age_ms = self._exchange_ms() - command.signed_at
        except ClockUncertainError as error:
            return RequestNotSent(str(error))
        if age_ms > command.recv_window_ms - self._policy.min_remaining_ms:
            return RequestNotSent(f"signed {age_ms / 1000:.1f} s ago, too late to be accepted")
        # Connecting may take seconds, in which the kill switch may come on.
        return await self._gateway.submit(signed, self._admission.blocking_reason)

    async def _record_reply(
        self, transfer_id: TransferId, attempt: int, reply: SubmissionReply
    ) -> None:
        """Record *reply*, which only this process knows, however often the store fails."""
        command = self._command_of(attempt, reply)
        retries = 0
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    await self._ledger.execute(transfer_id, command, ACTOR)
            except StoreUnavailableError as error:
                self._unrecorded_errors[transfer_id] = str(error)
                _log.error(
                    "transfer %s: cannot record reply %r: %s; retrying", transfer_id, reply, error
                )
                await self._clock.sleep_ms(
                    self._policy.record_backoff.wait_ms(retries, self._draw())
                )
                retries += 1
            except (LedgerDamagedError, LedgerTooNewError) as error:
                _log.critical(
                    "transfer %s: cannot record reply %r: %s; keep this line for reconciliation",
                    transfer_id,
                    reply,
                    error,
                )
                raise
            else:
                self._unrecorded_errors.pop(transfer_id, None)
                return

    def _command_of(self, attempt: int, reply: SubmissionReply) -> TreasuryCommand:
        now = self._clock.now_ms()
        match reply:
            case ReplyAccepted(tran_id=tran_id):
                return RecordCompleted(attempt, tran_id, Evidence.REPLY, now)
            case ReplyRefused(kind=kind, message=message):
                return RecordRefused(attempt, kind, message, now)
            case ReplyNotProcessed(cause=cause, retry_after_ms=wait_ms, clock_suspect=suspect):
                if suspect:
                    self._on_clock_suspect()
                    # Another attempt by the same clock would be rejected as well.
                    wait_ms = max(wait_ms, CLOCK_REFRESH_MS * attempt)
                wait_ms = max(wait_ms, self._policy.retry_backoff.base_ms)
                why = NotExecutedReason.NOT_PROCESSED
                return RecordNotExecuted(attempt, why, cause, now + wait_ms, now)
            case RequestNotSent(cause=cause):
                wait_ms = int(self._policy.retry_backoff.wait_ms(attempt - 1, self._draw()))
                return RecordNotExecuted(
                    attempt, NotExecutedReason.NOT_SENT, cause, now + wait_ms, now
                )
            case ReplyUnknown(cause=cause):
                return RecordUnknown(attempt, cause, now)
            case _:
                assert_never(reply)
