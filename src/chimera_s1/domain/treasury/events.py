"""The events of the treasury ledger.

The tag of a class is the event's name in the ledger and never changes. A new field needs a default;
any other change of shape needs a new version and an upgrade step.

`at` is local epoch ms, `attempt` counts from 1, `tran_id` is the exchange's movement number.
`note` is the operator's, empty unless an operator resolved the transfer.

| stream | history of |
|---|---|
| `transfer/<transfer_id>` | a transfer; its existence is the idempotency record |
| `cap/<YYYY-MM-DD>` | a UTC day of the daily cap |
| `tran/<tran_id>` | a movement at the exchange: the transfer that owns it, or foreign |
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.limits import Direction, LimitRule, TransferLimits


class TreasuryMode(StrEnum):
    """The exchange's transfer API: only `subaccount` carries our client id."""

    WALLET = "wallet"
    SUBACCOUNT = "subaccount"


class Evidence(StrEnum):
    """The proof that money has moved."""

    REPLY = "reply"
    HISTORY = "history"
    OPERATOR = "operator"


class FailureReason(StrEnum):
    """Why it is certain that money has not moved and will not."""

    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    NOT_PROCESSED = "turned_away"
    EXPIRED = "expired"
    ABSENT = "absent"
    OPERATOR = "operator"


class NotExecutedReason(StrEnum):
    """Why an attempt was certainly not executed, so that another is allowed."""

    NOT_SENT = "not_sent"
    NOT_PROCESSED = "turned_away"


class OperatorVerdict(StrEnum):
    DONE = "DONE"
    FAILED = "FAILED"


class _TreasuryEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base class; `type` is the tag."""


class TransferTerms(Struct, frozen=True, kw_only=True):
    """The request and the conditions at its acceptance.

    Attributes:
        amount: USDT.
        fingerprint: Hash of the request; distinguishes a repetition from another request.
        day: UTC date whose cap it counts against.
        accepted_at: Local epoch ms.
    """

    direction: Direction
    amount: Decimal
    reason: str
    fingerprint: str
    mode: TreasuryMode
    limits: TransferLimits
    day: str
    accepted_at: int


class TransferRequested(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.requested"
):
    """Accepted within the limits; committed together with `CapReserved`."""

    transfer_id: TransferId
    terms: TransferTerms


class TransferRejected(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.rejected"):
    """Refused by a rule before anything was sent; binds the idempotency key for good."""

    transfer_id: TransferId
    terms: TransferTerms
    rule: LimitRule
    message: str


class SubmissionStarted(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.submission.started"
):
    """A signed request is about to be sent, once.

    Attributes:
        signed_at: Timestamp in the signed request, exchange epoch ms; never renewed.
        recv_window_ms: The exchange accepts the request for so long after *signed_at*.
        request_hash: SHA-256 of the signed text, without the signature.
    """

    transfer_id: TransferId
    attempt: int
    signed_at: int
    recv_window_ms: int
    request_hash: str


class SubmissionNotExecuted(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.submission.not_executed"
):
    """The attempt was certainly not executed; no new one before *not_before*, local epoch ms."""

    transfer_id: TransferId
    attempt: int
    why: NotExecutedReason
    cause: str
    not_before: int


class OutcomeUnknown(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.outcome.unknown"):
    """The request may have been executed; it is never sent again, reconciliation decides."""

    transfer_id: TransferId
    attempt: int
    cause: str
    at: int


class TransferCompleted(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.completed"
):
    """The money has moved."""

    transfer_id: TransferId
    attempt: int
    tran_id: str
    evidence: Evidence
    at: int
    note: str = ""


class TransferFailed(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.failed"):
    """The money has not moved and will not; *reads* (exchange epoch ms) prove an ABSENT failure."""

    transfer_id: TransferId
    attempt: int
    kind: FailureReason
    message: str
    at: int
    reads: tuple[int, ...] = ()


class TransferVerified(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.verified"):
    """The exchange's history shows the movement of its reply."""

    transfer_id: TransferId
    tran_id: str
    note: str = ""


class TransferDisputed(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.disputed"):
    """The evidence about the transfer is contradictory; an operator must decide."""

    transfer_id: TransferId
    cause: str
    at: int


class TransferCorrected(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.corrected"
):
    """Late evidence: a failed transfer has moved money after all."""

    transfer_id: TransferId
    tran_id: str
    evidence: Evidence
    at: int
    note: str = ""


class ReviewRequested(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.review_requested"
):
    """Reconciliation cannot decide the outcome; an operator must check the exchange."""

    transfer_id: TransferId
    cause: str
    at: int


class CapReserved(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.reserved"):
    """*amount* counts against the day; *cap* is the daily cap at that time, USDT."""

    day: str
    transfer_id: TransferId
    amount: Decimal
    cap: Decimal


class CapSettled(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.settled"):
    """The reserved *amount* has moved and still counts."""

    day: str
    transfer_id: TransferId
    amount: Decimal


class CapReleased(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.released"):
    """The reserved *amount* has not moved and no longer counts."""

    day: str
    transfer_id: TransferId
    amount: Decimal


class CapRebooked(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.rebooked"):
    """The released *amount* has moved after all and counts again, even above the cap."""

    day: str
    transfer_id: TransferId
    amount: Decimal


class MovementClaimed(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.movement.claimed"):
    """The movement belongs to this transfer only."""

    tran_id: str
    transfer_id: TransferId


class ForeignMovementObserved(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.movement.foreign"
):
    """A movement that belongs to no transfer of ours; *moved_at* is exchange epoch ms."""

    tran_id: str
    direction: Direction
    amount: Decimal
    moved_at: int


TransferEvent: TypeAlias = (
    TransferRequested
    | TransferRejected
    | SubmissionStarted
    | SubmissionNotExecuted
    | OutcomeUnknown
    | TransferCompleted
    | TransferFailed
    | TransferVerified
    | TransferDisputed
    | TransferCorrected
    | ReviewRequested
)
CapEvent: TypeAlias = CapReserved | CapSettled | CapReleased | CapRebooked
MovementEvent: TypeAlias = MovementClaimed | ForeignMovementObserved
TreasuryEvent: TypeAlias = TransferEvent | CapEvent | MovementEvent
