"""A life of a transfer for each phase, and for each way to be in it that makes a difference."""

from chimera_s1.domain.treasury.events import CapRebooked, Evidence, FailureReason, TreasuryEvent
from tests.transfer_events import (
    CLAIMED,
    CORRECTED,
    DISPUTED,
    ID,
    REJECTED,
    RELEASED,
    REQUESTED,
    RESERVED,
    REVIEW,
    SETTLED,
    STARTED,
    TERMS,
    TURNED_AWAY,
    UNKNOWN,
    VERIFIED,
    completed_event,
    failed_event,
)

SENT = (REQUESTED, RESERVED, STARTED)
DONE = (*SENT, completed_event(Evidence.REPLY), SETTLED, CLAIMED)
GIVEN_UP = (*SENT, UNKNOWN, failed_event(FailureReason.ABSENT), RELEASED)
REBOOKED_SHARE = CapRebooked(day=TERMS.day, transfer_id=ID, amount=TERMS.amount)
PHASES: dict[str, tuple[TreasuryEvent, ...]] = {
    "requested": (REQUESTED, RESERVED),
    "again": (*SENT, TURNED_AWAY),
    "again, disputed": (*SENT, TURNED_AWAY, DISPUTED),
    "submitted": SENT,
    "unknown": (*SENT, UNKNOWN),
    "in review": (*SENT, UNKNOWN, REVIEW),
    "unknown, disputed": (*SENT, UNKNOWN, DISPUTED),
    "done": DONE,
    "verified": (*DONE, VERIFIED),
    "disputed": (*DONE, DISPUTED),
    "denied": (*DONE, DISPUTED, failed_event(FailureReason.OPERATOR)),
    "failed": GIVEN_UP,
    "failed, disputed": (*GIVEN_UP, DISPUTED),
    "corrected": (*GIVEN_UP, CORRECTED, REBOOKED_SHARE, CLAIMED),
    "rejected": (REJECTED,),
}
