"""A transfer and its state machine.

    requested ─> submitted ─> done                    money has moved
        │  ^         │  └───> failed                  it has not, and will not
        │  └─────────┤  (not executed)
        │            └──────> unknown ─> done | failed
        └─> failed (expired)            failed ─> done (corrected)
    rejected                            refused by a rule before sending

Callers see PENDING, DONE or FAILED.
"""

from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    NotExecutedReason,
    OutcomeUnknown,
    ReviewRequested,
    SubmissionNotExecuted,
    SubmissionStarted,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferEvent,
    TransferFailed,
    TransferRejected,
    TransferRequested,
    TransferVerified,
    TreasuryMode,
)
from chimera_s1.domain.treasury.limits import Direction, LimitRule, TransferLimits


class Phase(StrEnum):
    """Internal state of a transfer. `unknown`: sent, the outcome is not known yet; `rejected`:
    refused by a rule, nothing was sent.
    """

    REQUESTED = "requested"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"


class TransferStatus(StrEnum):
    """State of a transfer. PENDING: not final yet; DONE: moved; FAILED: not moved, final."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"


UNCONFIRMED_FAILURES = frozenset({FailureReason.ABSENT, FailureReason.OPERATOR})
"""Failures without a reply of the exchange; late evidence could contradict them."""


class Transfer(Struct, frozen=True, kw_only=True):
    """The state of a transfer; times are local epoch ms unless stated otherwise.

    Attributes:
        attempt: The last attempt; 0 before the first.
        signed_at: Timestamp in the last signed request, exchange epoch ms.
        recv_window_ms, request_hash: Of the last signed request.
        not_before_ms: Earliest time of the next attempt.
        unknown_at: When the outcome of the last attempt became unknown.
        not_processed_count: Attempts that the exchange did not process.
        finished_at: When it became done, failed or rejected.
        message: Human-readable reason for the current state.
        verified: The exchange's history shows the movement.
    """

    transfer_id: TransferId
    direction: Direction
    amount: Decimal
    reason: str
    fingerprint: str
    mode: TreasuryMode
    limits: TransferLimits
    day: str
    accepted_at: int
    phase: Phase
    version: int = 1
    attempt: int = 0
    signed_at: int = 0
    recv_window_ms: int = 0
    request_hash: str = ""
    not_before_ms: int = 0
    unknown_at: int = 0
    not_processed_count: int = 0
    finished_at: int = 0
    tran_id: str = ""
    rule: LimitRule | None = None
    failure_reason: FailureReason | None = None
    evidence: Evidence | None = None
    message: str = ""
    verified: bool = False
    disputed: bool = False
    corrected: bool = False
    in_review: bool = False
    counts_against_cap: bool = True

    @property
    def status(self) -> TransferStatus:
        match self.phase:
            case Phase.REQUESTED | Phase.SUBMITTED | Phase.UNKNOWN:
                return TransferStatus.PENDING
            case Phase.DONE:
                return TransferStatus.DONE
            case Phase.FAILED | Phase.REJECTED:
                return TransferStatus.FAILED
            case _:
                assert_never(self.phase)

    @property
    def public_message(self) -> str:
        """The message in the API."""
        if self.phase is Phase.UNKNOWN:
            return f"outcome unknown, reconciling: {self.message}"
        return self.message

    @property
    def is_unresolved(self) -> bool:
        """A request may be in flight, or executed without our knowledge."""
        return self.phase in {Phase.SUBMITTED, Phase.UNKNOWN}

    @property
    def is_queued(self) -> bool:
        """It may be sent; false if disputed, since the exchange has named a movement for it."""
        return self.phase is Phase.REQUESTED and not self.disputed

    @property
    def is_finished(self) -> bool:
        """Done, failed or rejected; late evidence may still correct a failure."""
        return self.phase in {Phase.DONE, Phase.FAILED, Phase.REJECTED}


def evolve(transfer: Transfer | None, event: TransferEvent) -> Transfer:
    """Apply *event*.

    Raises:
        LedgerDamagedError: The initial event of the stream is missing or repeated.
    """
    match event:
        case TransferRequested() | TransferRejected():
            if transfer is not None:
                raise LedgerDamagedError(f"transfer {event.transfer_id} has two initial events")
            return _initial(event)
        case _:
            if transfer is None:
                raise LedgerDamagedError(f"transfer {event.transfer_id} has no initial event")
            return _apply(replace(transfer, version=transfer.version + 1), event)


def _initial(event: TransferRequested | TransferRejected) -> Transfer:
    terms = event.terms
    requested = Transfer(
        transfer_id=event.transfer_id,
        direction=terms.direction,
        amount=terms.amount,
        reason=terms.reason,
        fingerprint=terms.fingerprint,
        mode=terms.mode,
        limits=terms.limits,
        day=terms.day,
        accepted_at=terms.accepted_at,
        phase=Phase.REQUESTED,
    )
    if isinstance(event, TransferRequested):
        return requested
    return replace(
        requested,
        phase=Phase.REJECTED,
        rule=event.rule,
        message=event.message,
        finished_at=terms.accepted_at,
        counts_against_cap=False,
    )


def _apply(  # noqa: PLR0911 (one case a kind of event)
    transfer: Transfer,
    event: SubmissionStarted
    | SubmissionNotExecuted
    | OutcomeUnknown
    | TransferCompleted
    | TransferFailed
    | TransferVerified
    | TransferDisputed
    | TransferCorrected
    | ReviewRequested,
) -> Transfer:
    match event:
        case SubmissionStarted():
            return replace(
                transfer,
                phase=Phase.SUBMITTED,
                attempt=event.attempt,
                signed_at=event.signed_at,
                recv_window_ms=event.recv_window_ms,
                request_hash=event.request_hash,
                unknown_at=0,
                message="",
            )
        case SubmissionNotExecuted():
            return _requeued(transfer, event)
        case OutcomeUnknown():
            return replace(
                transfer,
                phase=Phase.UNKNOWN,
                unknown_at=event.at,
                message=event.cause,
            )
        case TransferCompleted() | TransferCorrected():
            return _done(transfer, event)
        case TransferFailed():
            return replace(
                transfer,
                phase=Phase.FAILED,
                failure_reason=event.kind,
                message=event.message,
                finished_at=event.at,
                disputed=False,
                in_review=False,
                counts_against_cap=transfer.counts_against_cap and transfer.is_finished,
            )
        case TransferVerified():
            return replace(transfer, verified=True, disputed=False, in_review=False, message="")
        case TransferDisputed():
            return replace(transfer, disputed=True, in_review=True, message=event.cause)
        case ReviewRequested():
            return replace(transfer, in_review=True)
        case _:
            assert_never(event)


def _requeued(transfer: Transfer, event: SubmissionNotExecuted) -> Transfer:
    return replace(
        transfer,
        phase=Phase.REQUESTED,
        not_before_ms=event.not_before,
        not_processed_count=transfer.not_processed_count
        + (event.why is NotExecutedReason.NOT_PROCESSED),
        message=event.cause,
    )


def _done(transfer: Transfer, event: TransferCompleted | TransferCorrected) -> Transfer:
    return replace(
        transfer,
        phase=Phase.DONE,
        tran_id=event.tran_id,
        evidence=event.evidence,
        verified=transfer.verified or event.evidence is not Evidence.REPLY,
        corrected=isinstance(event, TransferCorrected),
        failure_reason=None,
        disputed=False,
        in_review=False,
        counts_against_cap=True,
        message="",
        finished_at=event.at,
    )
