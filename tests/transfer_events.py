"""Events of a transfer for tests: one of each kind, and chains of commits."""

from decimal import Decimal

import msgspec

from chimera_s1.domain.identifiers import TransferId, parse_transfer_id
from chimera_s1.domain.ledger.commit import (
    Commit,
    CommitDraft,
    LedgerEntry,
    LedgerHead,
    NewEvent,
    content_hash,
    document_of,
    head_of,
    seal,
)
from chimera_s1.domain.treasury.event_records import to_new_event
from chimera_s1.domain.treasury.events import (
    CapReleased,
    CapReserved,
    CapSettled,
    Evidence,
    FailureReason,
    MovementClaimed,
    NotExecutedReason,
    OutcomeUnknown,
    ReviewRequested,
    SubmissionNotExecuted,
    SubmissionStarted,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferFailed,
    TransferRejected,
    TransferRequested,
    TransferTerms,
    TransferVerified,
    TreasuryEvent,
    TreasuryMode,
)
from chimera_s1.domain.treasury.limits import Direction, LimitRule, TransferLimits

LEDGER = "treasury"
ID = parse_transfer_id("t-1")
AT = 1_795_683_600_000  # 2026-11-26T09:00:00Z
DAY = "2026-11-26"
AMOUNT = Decimal("12.5")
TERMS = TransferTerms(
    direction=Direction.SPOT_TO_FUT,
    amount=AMOUNT,
    reason="margin",
    fingerprint="f" * 64,
    mode=TreasuryMode.WALLET,
    limits=TransferLimits(
        directions=tuple(Direction), min=Decimal(1), max=Decimal(1000), daily_cap=Decimal(5000)
    ),
    day=DAY,
    accepted_at=AT,
)
REQUESTED = TransferRequested(transfer_id=ID, terms=TERMS)
REJECTED = TransferRejected(
    transfer_id=ID, terms=TERMS, rule=LimitRule.BELOW_MIN, message="12.5 USDT is below 20"
)
STARTED = SubmissionStarted(
    transfer_id=ID,
    attempt=1,
    signed_at=AT + 200,
    recv_window_ms=5_000,
    request_hash="3fa9c1d2e4b5" + "0" * 52,
)
NOT_SENT = SubmissionNotExecuted(
    transfer_id=ID,
    attempt=1,
    why=NotExecutedReason.NOT_SENT,
    cause="connection refused",
    not_before=AT + 1_000,
)
NOT_PROCESSED = SubmissionNotExecuted(
    transfer_id=ID,
    attempt=1,
    why=NotExecutedReason.NOT_PROCESSED,
    cause="-1021 Timestamp outside of the recvWindow",
    not_before=AT + 1_000,
)
UNKNOWN = OutcomeUnknown(transfer_id=ID, attempt=1, cause="connection reset", at=AT + 400)
RESERVED = CapReserved(day=DAY, transfer_id=ID, amount=AMOUNT, cap=Decimal(5000))
SETTLED = CapSettled(day=DAY, transfer_id=ID, amount=AMOUNT)
RELEASED = CapReleased(day=DAY, transfer_id=ID, amount=AMOUNT)
CLAIMED = MovementClaimed(tran_id="77", transfer_id=ID)
REVIEW = ReviewRequested(transfer_id=ID, cause="the histories stay silent", at=AT)
DISPUTED = TransferDisputed(transfer_id=ID, cause="the history has no 77", at=AT)
VERIFIED = TransferVerified(transfer_id=ID, tran_id="77")
CORRECTED = TransferCorrected(transfer_id=ID, tran_id="77", evidence=Evidence.HISTORY, at=AT)


def completed_event(evidence: Evidence, note: str = "") -> TransferCompleted:
    return TransferCompleted(
        transfer_id=ID, attempt=1, tran_id="77", evidence=evidence, at=AT, note=note
    )


def failed_event(
    kind: FailureReason, message: str = "why", reads: tuple[int, ...] = ()
) -> TransferFailed:
    return TransferFailed(transfer_id=ID, attempt=1, kind=kind, message=message, at=AT, reads=reads)


class CommitChain:
    """Linked commits, one second apart."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self._versions: dict[str, int] = {}

    @property
    def head(self) -> LedgerHead:
        return head_of(self.commits[-1]) if self.commits else LedgerHead()

    def add(self, actor: str, *events: TreasuryEvent | NewEvent, about: TransferId = ID) -> Commit:
        seq = self.head.seq
        draft = CommitDraft(
            commit_id=f"commit-{seq}",
            at=AT + 1_000 * seq,
            actor=actor,
            correlation_id=about,
            events=tuple(e if isinstance(e, NewEvent) else to_new_event(e) for e in events),
        )
        commit = seal(draft, LEDGER, self.head, self._versions)
        self._versions.update({record.stream: record.version for record in commit.events})
        self.commits.append(commit)
        return commit

    def add_done(self, transfer_id: TransferId) -> None:
        """Add all commits of a transfer that was requested, sent, completed and verified."""
        tran_id = str(1_000 + self.head.seq)
        of = {"transfer_id": transfer_id}
        completed = msgspec.structs.replace(completed_event(Evidence.REPLY), tran_id=tran_id, **of)
        claimed = MovementClaimed(tran_id=tran_id, transfer_id=transfer_id)
        verified = TransferVerified(tran_id=tran_id, transfer_id=transfer_id)
        replace = msgspec.structs.replace
        self.add("bot", replace(REQUESTED, **of), replace(RESERVED, **of), about=transfer_id)
        self.add("s1/executor", replace(STARTED, **of), about=transfer_id)
        self.add("s1/executor", completed, replace(SETTLED, **of), claimed, about=transfer_id)
        self.add("s1/reconciler", verified, about=transfer_id)

    def entries(self) -> list[LedgerEntry]:
        """The commits as a store returns them."""
        return [LedgerEntry(commit, content_hash(document_of(commit))) for commit in self.commits]
