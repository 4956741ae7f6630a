"""What happens to transfers: the events of the treasury ledger.

The tag of a class is the event's name in the ledger and never changes. A new field comes with a
default; any other change of shape is a new version with a step that lifts the old one.

`at` is local epoch ms throughout.

| stream | tells the life of |
|---|---|
| `transfer/<transfer_id>` | a transfer; that it exists is what makes its key used |
| `cap/<YYYY-MM-DD>` | a UTC day of the daily cap |
| `tran/<tran_id>` | a movement at the exchange: whose it is, or that it is foreign |
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.limits import Direction, LimitRule, TransferLimits


class TreasuryMode(StrEnum):
    """Which transfer of the exchange is used: `wallet` knows no id of ours, `subaccount` does."""

    WALLET = "wallet"
    SUBACCOUNT = "subaccount"


class Evidence(StrEnum):
    """How it is known that money has moved."""

    REPLY = "reply"
    HISTORY = "history"
    OPERATOR = "operator"


class FailureReason(StrEnum):
    """How it is known that money has not moved, and will not."""

    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    NOT_PROCESSED = "turned_away"
    EXPIRED = "expired"
    ABSENT = "absent"
    OPERATOR = "operator"


class NotExecutedReason(StrEnum):
    """Why one attempt certainly came to nothing, so that another may be made."""

    NOT_SENT = "not_sent"
    NOT_PROCESSED = "turned_away"


class OperatorVerdict(StrEnum):
    """What an operator has found out about a transfer."""

    DONE = "DONE"
    FAILED = "FAILED"


class _TreasuryEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all: `type` is the tag."""


class TransferTerms(Struct, frozen=True, kw_only=True):
    """What was asked for, and under which conditions.

    Attributes:
        amount: USDT.

        fingerprint: Of what was asked for; tells a repetition from another request.

        limits: In force at that moment.

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
    """Accepted: within the limits, and its share of the cap reserved."""

    transfer_id: TransferId
    terms: TransferTerms


class TransferRejected(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.rejected"):
    """Refused by a rule before anything was sent; the refusal is the answer to this key
    for ever.
    """

    transfer_id: TransferId
    terms: TransferTerms
    rule: LimitRule
    message: str


class SubmissionStarted(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.submission.started"
):
    """A request is signed and about to be sent, once.

    Attributes:
        attempt: From 1.

        signed_at: The timestamp in the signed request, exchange epoch ms; never renewed.

        recv_window_ms: How long after it the exchange still accepts the request.

        request_hash: SHA-256 of what was signed, without the signature.
    """

    transfer_id: TransferId
    attempt: int
    signed_at: int
    recv_window_ms: int
    request_hash: str


class SubmissionNotExecuted(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.submission.not_executed"
):
    """The attempt certainly came to nothing; the transfer waits for the next one.

    Attributes:
        not_before: Local epoch ms before which no attempt is made.
    """

    transfer_id: TransferId
    attempt: int
    why: NotExecutedReason
    cause: str
    not_before: int


class OutcomeUnknown(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.outcome.unknown"):
    """The request may have been executed; nothing is sent again, reconciliation decides."""

    transfer_id: TransferId
    attempt: int
    cause: str
    at: int


class TransferCompleted(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.completed"
):
    """The money has moved.

    Attributes:
        tran_id: The exchange's number of the movement.

        note: Of the operator, where it was one who found out.
    """

    transfer_id: TransferId
    attempt: int
    tran_id: str
    evidence: Evidence
    at: int
    note: str = ""


class TransferFailed(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.failed"):
    """The money has not moved and will not.

    Attributes:
        reads: Where it was concluded from absence: when the complete histories were read, exchange
            epoch ms.
    """

    transfer_id: TransferId
    attempt: int
    kind: FailureReason
    message: str
    at: int
    reads: tuple[int, ...] = ()


class TransferVerified(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.verified"):
    """The exchange's own history shows the movement that its reply announced.

    Attributes:
        note: Of the operator, where it was one who ended a dispute so.
    """

    transfer_id: TransferId
    tran_id: str
    note: str = ""


class TransferDisputed(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.disputed"):
    """What is known about the transfer contradicts itself; a human has to look."""

    transfer_id: TransferId
    cause: str
    at: int


class TransferCorrected(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.corrected"
):
    """Evidence came late: a transfer concluded to have failed has moved money after all.

    Attributes:
        note: Of the operator, where it was one who found out.
    """

    transfer_id: TransferId
    tran_id: str
    evidence: Evidence
    at: int
    note: str = ""


class ReviewRequested(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.transfer.review_requested"
):
    """Reconciliation does not come to an end by itself."""

    transfer_id: TransferId
    cause: str
    at: int


class CapReserved(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.reserved"):
    """*amount* counts against the day.

    Attributes:
        cap: In force at that moment, USDT.
    """

    day: str
    transfer_id: TransferId
    amount: Decimal
    cap: Decimal


class CapSettled(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.settled"):
    """The reserved *amount* has moved; it goes on counting."""

    day: str
    transfer_id: TransferId
    amount: Decimal


class CapReleased(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.released"):
    """The reserved *amount* did not move; it counts no longer."""

    day: str
    transfer_id: TransferId
    amount: Decimal


class CapRebooked(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.cap.rebooked"):
    """The released *amount* had moved after all; it counts again, whatever the cap."""

    day: str
    transfer_id: TransferId
    amount: Decimal


class MovementClaimed(_TreasuryEvent, frozen=True, kw_only=True, tag="treasury.movement.claimed"):
    """The movement belongs to the transfer, and to no other."""

    tran_id: str
    transfer_id: TransferId


class ForeignMovementObserved(
    _TreasuryEvent, frozen=True, kw_only=True, tag="treasury.movement.foreign"
):
    """A movement between the wallets that no transfer of ours explains.

    Attributes:
        moved_at: Exchange epoch ms.
    """

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
