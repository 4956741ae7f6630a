"""The timeline: every event, every state, and events of a newer version."""

from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from chimera_s1.app.capabilities.treasury.transfer_timeline import (
    build_timeline,
    decode_events,
    describe_event,
)
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import (
    LedgerEntry,
    NewEvent,
)
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.printable import escape_unprintable
from chimera_s1.domain.treasury.events import (
    CapRebooked,
    Evidence,
    FailureReason,
    ForeignMovementObserved,
    TransferCompleted,
    TransferDisputed,
    TransferFailed,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming
from tests.transfer_events import (
    AMOUNT,
    AT,
    CLAIMED,
    CORRECTED,
    DAY,
    DISPUTED,
    ID,
    NOT_PROCESSED,
    NOT_SENT,
    REJECTED,
    RELEASED,
    REQUESTED,
    RESERVED,
    REVIEW,
    SETTLED,
    STARTED,
    UNKNOWN,
    VERIFIED,
    CommitChain,
    completed_event,
    failed_event,
)

SENTENCES: list[tuple[TreasuryEvent, str]] = [
    (
        REQUESTED,
        ("accepted: 12.5 USDT from SPOT to FUT (margin), limits 1 to 1000 USDT, mode wallet"),
    ),
    (REJECTED, "refused by the rule below_min, nothing was sent: 12.5 USDT is below 20"),
    (
        STARTED,
        (
            "attempt 1 signed, about to be sent once: the exchange accepts it for 5000 ms from "
            "2026-11-26T09:00:00.200Z of its clock, request 3fa9c1d2e4b5"
        ),
    ),
    (
        NOT_SENT,
        (
            "attempt 1 was not sent: connection refused; "
            "next attempt not before 2026-11-26T09:00:01.000Z"
        ),
    ),
    (
        NOT_PROCESSED,
        (
            "attempt 1 was not processed by the exchange: "
            "-1021 Timestamp outside of the recvWindow; "
            "next attempt not before 2026-11-26T09:00:01.000Z"
        ),
    ),
    (
        UNKNOWN,
        "outcome of attempt 1 unknown, not sent again: connection reset",
    ),
    (completed_event(Evidence.REPLY), "done: the exchange's reply names movement 77"),
    (completed_event(Evidence.HISTORY), "done: the exchange's history shows movement 77"),
    (
        completed_event(Evidence.OPERATOR, "seen on the web page"),
        "done: an operator found movement 77: seen on the web page",
    ),
    (failed_event(FailureReason.REFUSED), "failed, the exchange refused it: why"),
    (
        failed_event(FailureReason.FORBIDDEN),
        "failed, the exchange does not allow it with this key: why",
    ),
    (failed_event(FailureReason.NOT_PROCESSED), "failed, nothing was executed: why"),
    (failed_event(FailureReason.EXPIRED), "failed, nothing was executed: why"),
    (
        failed_event(FailureReason.ABSENT, "silent", (AT, AT + 60_000)),
        "failed: silent; read at 2026-11-26T09:00:00.000Z, 2026-11-26T09:01:00.000Z",
    ),
    (failed_event(FailureReason.OPERATOR), "failed, an operator found that no money moved: why"),
    (VERIFIED, "confirmed: movement 77 is in the exchange's history"),
    (
        msgspec.structs.replace(VERIFIED, note="seen by me"),
        "confirmed: movement 77 is in the exchange's history: seen by me",
    ),
    (DISPUTED, "disputed, needs an operator: the history has no 77"),
    (
        CORRECTED,
        "corrected, the money did move: the exchange's history shows movement 77",
    ),
    (
        REVIEW,
        "unresolved for too long, needs an operator: the histories stay silent",
    ),
    (RESERVED, "cap of 2026-11-26: 12.5 USDT of 5000 reserved"),
    (SETTLED, "cap of 2026-11-26: 12.5 USDT used"),
    (RELEASED, "cap of 2026-11-26: 12.5 USDT released"),
    (
        CapRebooked(day=DAY, transfer_id=ID, amount=AMOUNT),
        "cap of 2026-11-26: 12.5 USDT reserved again",
    ),
    (CLAIMED, "movement 77 claimed by transfer t-1"),
    (
        ForeignMovementObserved(
            tran_id="78", direction=Direction.FUT_TO_SPOT, amount=Decimal(5), moved_at=AT
        ),
        (
            "movement 78, 5 USDT from FUT to SPOT at 2026-11-26T09:00:00.000Z, is foreign: "
            "no transfer of this service"
        ),
    ),
]


@pytest.mark.parametrize(("event", "text"), SENTENCES, ids=lambda v: type(v).__name__)
def test_each_event_has_a_description(event: TreasuryEvent, text: str) -> None:
    assert describe_event(event) == text


def test_descriptions_cover_every_event_failure_and_evidence() -> None:
    events = [event for event, _ in SENTENCES]

    assert {type(event) for event in events} == set(get_args(TreasuryEvent))
    assert {e.kind for e in events if isinstance(e, TransferFailed)} == set(FailureReason)
    assert {e.evidence for e in events if isinstance(e, TransferCompleted)} == set(Evidence)


def life(*commits: tuple[str, tuple[TreasuryEvent | NewEvent, ...]]) -> list[LedgerEntry]:
    """Entries from the actor and the events of each commit."""
    chain = CommitChain()
    for actor, events in commits:
        chain.add(actor, *events)
    return chain.entries()


ACCEPTED = ("treasury-bot", (REQUESTED, RESERVED))
SENT = ("s1/executor", (STARTED,))


def test_timeline_of_a_lost_reply() -> None:
    entries = life(
        ACCEPTED,
        SENT,
        ("s1/executor", (UNKNOWN,)),
        ("s1/reconciler", (completed_event(Evidence.HISTORY), SETTLED, CLAIMED)),
    )

    timeline = build_timeline(ID, entries, ReconciliationTiming())

    assert timeline.title == "transfer t-1: 12.5 USDT from SPOT to FUT"
    assert [(line.seq, line.actor, line.text.partition(":")[0]) for line in timeline.entries] == [
        (1, "treasury-bot", "accepted"),
        (1, "treasury-bot", "cap of 2026-11-26"),
        (2, "s1/executor", "attempt 1 signed, about to be sent once"),
        (3, "s1/executor", "outcome of attempt 1 unknown, not sent again"),
        (4, "s1/reconciler", "done"),
        (4, "s1/reconciler", "cap of 2026-11-26"),
        (4, "s1/reconciler", "movement 77 claimed by transfer t-1"),
    ]
    assert [line.at - AT for line in timeline.entries] == [0, 0, 1_000, 2_000, 3_000, 3_000, 3_000]
    assert timeline.next_steps.current_state == (
        "DONE: movement 77 moved the money, confirmed by the exchange's history"
    )
    assert timeline.next_steps.next_step == "nothing; finished"


WINDOW = "between 2026-11-26T08:59:58.200Z and 2026-11-26T09:01:07.200Z"
OUTLOOKS: dict[str, tuple[tuple[TreasuryEvent, ...], str, str]] = {
    "waiting": ((), "PENDING: accepted, not sent yet", "chimera-s1 serve sends it"),
    "again": (
        (STARTED, NOT_PROCESSED),
        "PENDING: attempt 1 was not executed: -1021",
        "another attempt, not before 2026-11-26T09:00:01.000Z",
    ),
    "sent": ((STARTED,), "PENDING: attempt 1 may have moved the money", "looks for 12.5 USDT"),
    "unknown": (
        (STARTED, UNKNOWN),
        "PENDING: attempt 1 may have moved the money; it is not sent again (connection reset)",
        (
            f"reconciliation looks for 12.5 USDT from SPOT to FUT {WINDOW} in the exchange's "
            "histories: DONE once it is found, FAILED after 3 complete reads without it, not "
            "before 2026-11-26T09:21:07.200Z"
        ),
    ),
    "in review": (
        (STARTED, UNKNOWN, REVIEW),
        "PENDING: ",
        (
            f"an operator must look for 12.5 USDT from SPOT to FUT {WINDOW} in the exchange's "
            "transfer history and resolve it with POST /xchg/treasury/transfer/t-1/resolve: DONE "
            "with its id, or FAILED"
        ),
    ),
    "done": (
        (STARTED, completed_event(Evidence.REPLY)),
        "DONE: movement 77 moved the money, by the exchange's reply",
        "it does not appear by 2026-11-26T09:16:07.200Z, it is disputed",
    ),
    "verified": (
        (STARTED, completed_event(Evidence.REPLY), VERIFIED),
        "DONE: movement 77 moved the money, confirmed by the exchange's history",
        "nothing; finished",
    ),
    "found by hand": (
        (STARTED, UNKNOWN, completed_event(Evidence.OPERATOR)),
        "DONE: movement 77 moved the money, confirmed by an operator",
        "nothing; finished",
    ),
    "disputed": (
        (STARTED, completed_event(Evidence.REPLY), DISPUTED),
        "DONE: movement 77 moved the money, but this is disputed: the history has no 77",
        "whether the exchange's transfer history has 77 and resolve it with POST",
    ),
    "disputed before its end": (
        (STARTED, UNKNOWN, DISPUTED),
        "PENDING: disputed, waiting for an operator: the history has no 77",
        ("has 12.5 USDT from SPOT to FUT for it and resolve it with POST /xchg/treasury/transfer"),
    ),
    "corrected": (
        (STARTED, UNKNOWN, failed_event(FailureReason.ABSENT), CORRECTED),
        "DONE: movement 77 moved the money, although it was FAILED before",
        "nothing; finished",
    ),
    "absent": (
        (STARTED, UNKNOWN, failed_event(FailureReason.ABSENT, "silent")),
        "FAILED: no money has moved: silent",
        "until 2026-11-27T09:00:00.000Z the history is watched",
    ),
    "refused": (
        (STARTED, failed_event(FailureReason.REFUSED, "-5013 balance")),
        "FAILED: no money has moved: -5013 balance",
        "remove the cause, then request it again with a new id",
    ),
    "forbidden": (
        (STARTED, failed_event(FailureReason.FORBIDDEN)),
        "FAILED: no money has moved: why",
        "enable Permits Universal Transfer for the API key",
    ),
    "expired": (
        (failed_event(FailureReason.EXPIRED, "not sent within 600 s"),),
        "FAILED: no money has moved: not sent within 600 s",
        "request it again with a new id if it is still wanted",
    ),
}


@pytest.mark.parametrize("case", OUTLOOKS)
def test_timeline_ends_with_state_and_next_step(case: str) -> None:
    events, now, then = OUTLOOKS[case]

    timeline = build_timeline(
        ID, life(ACCEPTED, *(("s1/x", (event,)) for event in events)), ReconciliationTiming()
    )

    assert timeline.next_steps.current_state.startswith(now)
    assert then in timeline.next_steps.next_step


def test_timeline_of_a_rejected_transfer() -> None:
    timeline = build_timeline(ID, life(("treasury-bot", (REJECTED,))), ReconciliationTiming())

    assert timeline.next_steps.current_state == (
        "FAILED: refused by a rule, nothing was sent: 12.5 USDT is below 20"
    )
    assert (
        "this id is final; request an allowed transfer with a new id"
        in timeline.next_steps.next_step
    )


NEWER = NewEvent(f"transfer/{ID}", "treasury.transfer.reversed", 1, {"transfer_id": ID})
NEWER_REQUEST = NewEvent(f"transfer/{ID}", "treasury.transfer.requested", 9, {"terms": "other"})


@pytest.mark.parametrize(
    "commits", [(ACCEPTED, ("s2", (NEWER,))), (("s2", (NEWER_REQUEST,)), SENT)]
)
def test_events_of_a_newer_version_are_shown(
    commits: tuple[tuple[str, tuple[TreasuryEvent | NewEvent, ...]], ...],
) -> None:
    """The state is unknown then, even if only the first event is."""
    timeline = build_timeline(ID, life(*commits), ReconciliationTiming())

    assert any("known only to a newer chimera-s1" in line.text for line in timeline.entries)
    assert len(timeline.entries) == sum(len(events) for _, events in commits)
    assert timeline.next_steps.next_step == "use the newer version"


def test_changed_commit_is_damage() -> None:
    [entry] = life(ACCEPTED)

    with pytest.raises(LedgerDamagedError, match="commit 1 was changed"):
        build_timeline(ID, [LedgerEntry(entry.commit, "0" * 64)], ReconciliationTiming())


def test_invalid_event_is_damage() -> None:
    broken = NewEvent(f"transfer/{ID}", "treasury.transfer.verified", 1, {"transfer_id": 7})
    [entry] = life(("x", (broken,)))

    with pytest.raises(LedgerDamagedError, match="commit 1 has an invalid event"):
        decode_events(entry)


def test_timeline_escapes_control_characters() -> None:
    event = TransferDisputed(transfer_id=ID, cause="a\nb\x1b[31m", at=AT)

    assert describe_event(event).endswith(r"a\nb\x1b[31m")
    assert "\x1b" not in describe_event(UnknownEvent("s", "t\x1b", 2))
    assert escape_unprintable("naïve 送金") == "naïve 送金"


def test_times_are_utc_to_the_millisecond() -> None:
    assert format_utc(AT + 7) == "2026-11-26T09:00:00.007Z"
    assert format_utc(1 << 62) == str(1 << 62)
