"""Event histories of a transfer: one for each phase and each relevant variant of it."""

from chimera_s1.domain.treasury.events import CapRebooked, Evidence, FailureReason, TreasuryEvent
from tests.transfer_events import (
    CLAIMED,
    CORRECTED,
    DISPUTED,
    ID,
    NOT_PROCESSED,
    REJECTED,
    RELEASED,
    REQUESTED,
    RESERVED,
    REVIEW,
    SETTLED,
    STARTED,
    TERMS,
    UNKNOWN,
    VERIFIED,
    completed_event,
    failed_event,
)

SENT = (REQUESTED, RESERVED, STARTED)
DONE = (*SENT, completed_event(Evidence.REPLY), SETTLED, CLAIMED)
FAILED_ABSENT = (*SENT, UNKNOWN, failed_event(FailureReason.ABSENT), RELEASED)
REBOOKED_AMOUNT = CapRebooked(day=TERMS.day, transfer_id=ID, amount=TERMS.amount)
PHASES: dict[str, tuple[TreasuryEvent, ...]] = {
    "requested": (REQUESTED, RESERVED),
    "again": (*SENT, NOT_PROCESSED),
    "again, disputed": (*SENT, NOT_PROCESSED, DISPUTED),
    "submitted": SENT,
    "unknown": (*SENT, UNKNOWN),
    "in review": (*SENT, UNKNOWN, REVIEW),
    "unknown, disputed": (*SENT, UNKNOWN, DISPUTED),
    "done": DONE,
    "verified": (*DONE, VERIFIED),
    "disputed": (*DONE, DISPUTED),
    "denied": (*DONE, DISPUTED, failed_event(FailureReason.OPERATOR)),
    "failed": FAILED_ABSENT,
    "failed, disputed": (*FAILED_ABSENT, DISPUTED),
    "corrected": (*FAILED_ABSENT, CORRECTED, REBOOKED_AMOUNT, CLAIMED),
    "rejected": (REJECTED,),
}
