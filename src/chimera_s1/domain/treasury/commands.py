"""What can be wanted of, or found out about, a transfer.

`at` is local epoch ms throughout.
"""

from decimal import Decimal
from hashlib import sha256
from typing import TypeAlias

import msgspec
from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    NotExecutedReason,
    OperatorVerdict,
    TransferTerms,
    TreasuryMode,
)
from chimera_s1.domain.treasury.limits import ASSET, Direction, TransferLimits


class RequestTransfer(Struct, frozen=True):
    """Move money."""

    transfer_id: TransferId
    terms: TransferTerms


class StartSubmission(Struct, frozen=True):
    """A request is signed: send it, unless something stands against it.

    Attributes:
        attempt: The one that the request was signed for; its id is part of what was signed.

        max_age_ms: A wish older than this must not come true any more.
    """

    attempt: int
    signed_at: int
    recv_window_ms: int
    request_hash: str
    max_age_ms: int
    at: int


class ExpireTransfer(Struct, frozen=True):
    """The transfer has waited longer than *max_age_ms* without being sent."""

    max_age_ms: int
    at: int


class RecordCompleted(Struct, frozen=True):
    """The exchange says that it has moved the money."""

    attempt: int
    tran_id: str
    evidence: Evidence
    at: int


class RecordRefused(Struct, frozen=True):
    """The exchange has said no, definitely."""

    attempt: int
    kind: FailureReason
    message: str
    at: int


class RecordNotExecuted(Struct, frozen=True):
    """The attempt certainly came to nothing, another may be made."""

    attempt: int
    reason: NotExecutedReason
    cause: str
    not_before_ms: int
    at: int


class RecordUnknown(Struct, frozen=True):
    """Nothing is certain about the attempt."""

    attempt: int
    cause: str
    at: int


class RecordAbsent(Struct, frozen=True):
    """Complete reads, late enough, show that nothing has moved.

    Attributes:
        reads: When each was made, exchange epoch ms.
    """

    attempt: int
    reads: tuple[int, ...]
    at: int


class RecordVerified(Struct, frozen=True):
    """The history confirms the movement."""

    tran_id: str


class RecordDisputed(Struct, frozen=True):
    """The history contradicts what was believed."""

    cause: str
    at: int


class RequestReview(Struct, frozen=True):
    """It takes too long, or cannot be decided from here."""

    cause: str
    at: int


class ResolveTransfer(Struct, frozen=True):
    """An operator has looked, and says what happened.

    Attributes:
        tran_id: The exchange's number of the movement; needed with DONE.

        note: Why this is so, for the record.
    """

    verdict: OperatorVerdict
    tran_id: str
    note: str
    at: int


TreasuryCommand: TypeAlias = (
    RequestTransfer
    | StartSubmission
    | ExpireTransfer
    | RecordCompleted
    | RecordRefused
    | RecordNotExecuted
    | RecordUnknown
    | RecordAbsent
    | RecordVerified
    | RecordDisputed
    | RequestReview
    | ResolveTransfer
)


def make_terms(
    direction: Direction,
    amount: Decimal,
    reason: str,
    *,
    mode: TreasuryMode,
    limits: TransferLimits,
    at: int,
) -> TransferTerms:
    """The terms of a transfer that is asked for now."""
    return TransferTerms(
        direction=direction,
        amount=amount,
        reason=reason,
        fingerprint=request_fingerprint(direction, amount, reason),
        mode=mode,
        limits=limits,
        day=utc_day(at),
        accepted_at=at,
    )


def request_fingerprint(direction: Direction, amount: Decimal, reason: str) -> str:
    """What a request asks for, as a hash: the same for `10`, `10.0` and `"10.00"`."""
    asked = {
        "amount": exact_text(amount),
        "asset": ASSET,
        "from": direction.source.value,
        "reason": reason,
        "to": direction.target.value,
    }
    return sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()
