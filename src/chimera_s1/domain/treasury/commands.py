"""Commands to the treasury: requests, and findings about a transfer.

`at` is local epoch ms; `attempt` counts from 1.
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
from chimera_s1.domain.treasury.limits import (
    ASSET,
    OLD_FUT_NAME,
    Direction,
    TransferLimits,
    Wallet,
)


class RequestTransfer(Struct, frozen=True):
    transfer_id: TransferId
    terms: TransferTerms


class StartSubmission(Struct, frozen=True):
    """Send a signed request, unless a rule forbids it.

    Attributes:
        attempt: Part of what was signed: the client id contains it.
        max_age_ms: A transfer older than this expires instead.
    """

    attempt: int
    signed_at: int
    recv_window_ms: int
    request_hash: str
    max_age_ms: int
    at: int


class ExpireTransfer(Struct, frozen=True):
    """Fail the transfer if it has waited longer than *max_age_ms* without being sent."""

    max_age_ms: int
    at: int


class RecordCompleted(Struct, frozen=True):
    """There is evidence that the money has moved."""

    attempt: int
    tran_id: str
    evidence: Evidence
    at: int


class RecordMatched(Struct, frozen=True):
    """An unclaimed movement fits the attempt by direction, amount and time."""

    attempt: int
    tran_id: str
    at: int


class RecordRefused(Struct, frozen=True):
    """The exchange refused the attempt for good."""

    attempt: int
    kind: FailureReason
    message: str
    at: int


class RecordNotExecuted(Struct, frozen=True):
    """The attempt was certainly not executed; another is allowed."""

    attempt: int
    reason: NotExecutedReason
    cause: str
    not_before_ms: int
    at: int


class RecordUnknown(Struct, frozen=True):
    """The outcome of the attempt is unknown."""

    attempt: int
    cause: str
    at: int


class RecordAbsent(Struct, frozen=True):
    """Complete reads at *reads* (exchange epoch ms), after the deadline, show no movement."""

    attempt: int
    reads: tuple[int, ...]
    at: int


class RecordVerified(Struct, frozen=True):
    """The exchange's history shows the movement."""

    tran_id: str


class RecordDisputed(Struct, frozen=True):
    """The exchange's history contradicts the ledger."""

    cause: str
    at: int


class RequestReview(Struct, frozen=True):
    """An operator must check the exchange: reconciliation takes too long or cannot decide."""

    cause: str
    at: int


class ResolveTransfer(Struct, frozen=True):
    """An operator's verdict; *tran_id* is the exchange's movement number and required for DONE."""

    verdict: OperatorVerdict
    tran_id: str
    note: str
    at: int


TreasuryCommand: TypeAlias = (
    RequestTransfer
    | StartSubmission
    | ExpireTransfer
    | RecordCompleted
    | RecordMatched
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
    """Hash of a request's content; the same for the amounts `10`, `10.0` and `"10.00"`.

    FUT is hashed as `FUTURES` for ever: ledgers of earlier versions hold such fingerprints.
    """
    content = {
        "amount": exact_text(amount),
        "asset": ASSET,
        "from": _hashed_name(direction.source),
        "reason": reason,
        "to": _hashed_name(direction.target),
    }
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _hashed_name(wallet: Wallet) -> str:
    return OLD_FUT_NAME if wallet is Wallet.FUT else wallet.value
