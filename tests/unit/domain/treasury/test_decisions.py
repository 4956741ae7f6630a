"""Decisions: every command in every phase."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.commands import (
    ExpireTransfer,
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordMatched,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    RecordVerified,
    RequestReview,
    RequestTransfer,
    ResolveTransfer,
    StartSubmission,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.decision_context import DecisionContext, TransferStateError
from chimera_s1.domain.treasury.decisions import decide
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    NotExecutedReason,
    OperatorVerdict,
    SubmissionStarted,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferFailed,
    TransferVerified,
)
from chimera_s1.domain.treasury.outcome_decisions import NOT_PROCESSED_MAX
from chimera_s1.domain.treasury.transfer import Transfer
from tests.transfer_events import (
    AT,
    ID,
    NOT_PROCESSED,
    REQUESTED,
    RESERVED,
    TERMS,
)
from tests.unit.domain.treasury.decision_model import DecisionModel
from tests.unit.domain.treasury.events_by_phase import PHASES

LATE = AT + 600_001
HASH = "a" * 64

COMMANDS: dict[str, Callable[[Transfer], TreasuryCommand]] = {
    "request": lambda _: RequestTransfer(ID, TERMS),
    "start": lambda t: StartSubmission(t.attempt + 1, AT, 5_000, HASH, 600_000, AT + 1_000),
    "start late": lambda t: StartSubmission(t.attempt + 1, LATE, 5_000, HASH, 600_000, LATE),
    "start another": lambda t: StartSubmission(t.attempt, AT, 5_000, HASH, 600_000, AT + 1_000),
    "expire early": lambda _: ExpireTransfer(600_000, LATE - 1),
    "expire": lambda _: ExpireTransfer(600_000, LATE),
    "moved 77": lambda t: RecordCompleted(t.attempt, "77", Evidence.REPLY, AT),
    "moved 78": lambda t: RecordCompleted(t.attempt, "78", Evidence.HISTORY, AT),
    "moved 99": lambda t: RecordCompleted(t.attempt, "99", Evidence.HISTORY, AT),
    "matched 78": lambda t: RecordMatched(t.attempt, "78", AT),
    "matched 99": lambda t: RecordMatched(t.attempt, "99", AT),
    "matched an old attempt": lambda t: RecordMatched(t.attempt - 1, "78", AT),
    "refused": lambda t: RecordRefused(t.attempt, FailureReason.REFUSED, "-5013", AT),
    "not sent": lambda t: RecordNotExecuted(t.attempt, NotExecutedReason.NOT_SENT, "reset", AT, AT),
    "unknown": lambda t: RecordUnknown(t.attempt, "reset", AT),
    "absent": lambda t: RecordAbsent(t.attempt, (AT,), AT),
    "old attempt": lambda t: RecordRefused(t.attempt - 1, FailureReason.REFUSED, "-5013", AT),
    "next attempt": lambda t: RecordAbsent(t.attempt + 1, (AT,), AT),
    "verified 77": lambda _: RecordVerified("77"),
    "verified 78": lambda _: RecordVerified("78"),
    "disputed": lambda _: RecordDisputed("no such row", AT),
    "review": lambda _: RequestReview("silent", AT),
    "DONE 77": lambda _: ResolveTransfer(OperatorVerdict.DONE, "77", "seen", AT),
    "DONE 78": lambda _: ResolveTransfer(OperatorVerdict.DONE, "78", "seen", AT),
    "DONE 99": lambda _: ResolveTransfer(OperatorVerdict.DONE, "99", "seen", AT),
    "FAILED": lambda _: ResolveTransfer(OperatorVerdict.FAILED, "", "seen", AT),
}
"""Movement 99 is claimed by another transfer."""

ERROR = "TransferStateError"
ENDED = "TransferFailed CapReleased"
COMPLETED = "TransferCompleted CapSettled MovementClaimed"
REBOOKED = "TransferCorrected CapRebooked MovementClaimed"
NO_VERDICT = {"DONE 77": ERROR, "DONE 78": ERROR, "DONE 99": ERROR, "FAILED": ERROR}
MOVED = {"moved 77": COMPLETED, "moved 78": COMPLETED, "moved 99": "TransferDisputed"}
MOVED_AFTER_ALL = {"moved 77": REBOOKED, "moved 78": REBOOKED, "moved 99": "TransferDisputed"}
DISPUTABLE = {"disputed": "TransferDisputed"}
FOUND = {"DONE 77": COMPLETED, "DONE 78": COMPLETED, "DONE 99": ERROR, "FAILED": ENDED}
WAITING = (
    MOVED
    | NO_VERDICT
    | DISPUTABLE
    | {
        "start": "SubmissionStarted",
        "start late": ENDED,
        "expire": ENDED,
    }
)
UNRESOLVED = (
    MOVED
    | FOUND
    | DISPUTABLE
    | {
        "refused": ENDED,
        "not sent": "SubmissionNotExecuted",
        "absent": ENDED,
        "matched 78": COMPLETED,
        "review": "ReviewRequested",
    }
)
CONTRADICTED = {"moved 78": "TransferDisputed", "moved 99": "TransferDisputed"}
OVER = NO_VERDICT | CONTRADICTED | DISPUTABLE

EXPECTED_EVENTS: dict[str, dict[str, str]] = {
    "requested": WAITING,
    "again": WAITING,
    "again, disputed": MOVED | FOUND | {"moved 99": ""},
    "submitted": UNRESOLVED | {"unknown": "OutcomeUnknown"},
    "unknown": UNRESOLVED,
    "in review": UNRESOLVED | {"review": ""},
    "unknown, disputed": MOVED | FOUND | {"moved 99": "", "matched 78": COMPLETED},
    "done": OVER | {"verified 77": "TransferVerified"},
    "verified": OVER,
    "disputed": {
        "DONE 77": "TransferVerified",
        "DONE 78": ERROR,
        "DONE 99": ERROR,
        "FAILED": "TransferFailed",
    },
    "denied": DISPUTABLE
    | {
        "moved 77": "TransferCorrected",
        "moved 78": "TransferCorrected MovementClaimed",
        "moved 99": "TransferDisputed",
        "matched 78": "TransferCorrected MovementClaimed",
        "DONE 77": "TransferCorrected",
        "DONE 78": "TransferCorrected MovementClaimed",
        "DONE 99": ERROR,
        "FAILED": ERROR,
    },
    "failed": MOVED_AFTER_ALL
    | DISPUTABLE
    | {
        "matched 78": REBOOKED,
        "DONE 77": REBOOKED,
        "DONE 78": REBOOKED,
        "DONE 99": ERROR,
        "FAILED": ERROR,
    },
    "failed, disputed": MOVED_AFTER_ALL
    | {
        "moved 99": "",
        "matched 78": REBOOKED,
        "DONE 77": REBOOKED,
        "DONE 78": REBOOKED,
        "DONE 99": ERROR,
        "FAILED": "TransferFailed",
    },
    "corrected": OVER,
    "rejected": NO_VERDICT,
}
"""The events of each command by phase; a command that is not listed gives none."""


def ledger_in(phase: str) -> DecisionModel:
    ledger = DecisionModel(PHASES[phase])
    ledger.claims["99"] = TransferId("another")
    return ledger


def execute(ledger: DecisionModel, command: TreasuryCommand) -> str:
    try:
        events = ledger.execute(ID, command)
    except TransferStateError:
        return ERROR
    return " ".join(type(event).__name__ for event in events)


@pytest.mark.parametrize("phase", PHASES)
def test_each_command_in_each_phase_gives_the_expected_events(phase: str) -> None:
    results: dict[str, str] = {}
    for name, command in COMMANDS.items():
        ledger = ledger_in(phase)
        results[name] = execute(ledger, command(ledger.transfers[ID]))
        assert not ledger.broken

    assert {name: events for name, events in results.items() if events} == {
        name: events for name, events in EXPECTED_EVENTS[phase].items() if events
    }


@pytest.mark.parametrize("phase", PHASES)
def test_a_repeated_command_gives_no_events(phase: str) -> None:
    for command in COMMANDS.values():
        ledger = ledger_in(phase)
        given = command(ledger.transfers[ID])
        execute(ledger, given)

        assert execute(ledger, given) in {"", ERROR}
        assert not ledger.broken


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"request"}))
def test_a_command_for_an_unknown_transfer_is_an_error(command: str) -> None:
    transfer = DecisionModel((REQUESTED,)).transfers[ID]

    with pytest.raises(TransferStateError, match="transfer not found"):
        decide(DecisionContext(), COMMANDS[command](transfer))


def test_a_request_reserves_its_amount_in_the_same_commit() -> None:
    ledger = DecisionModel()

    assert execute(ledger, RequestTransfer(ID, TERMS)) == "TransferRequested CapReserved"
    assert ledger.days[TERMS.day].used == TERMS.amount


def test_a_rejection_reserves_nothing_and_binds_the_key() -> None:
    too_large = replace(TERMS, amount=Decimal(1001))
    ledger = DecisionModel()

    assert execute(ledger, RequestTransfer(ID, too_large)) == "TransferRejected"
    assert execute(ledger, RequestTransfer(ID, TERMS)) == ""
    assert not ledger.days


def test_no_transfer_starts_beside_a_lookalike_or_before_not_before() -> None:
    ledger = ledger_in("again")
    transfer = ledger.transfers[ID]
    start = StartSubmission(2, AT, 5_000, HASH, 600_000, NOT_PROCESSED.not_before)
    blocked = DecisionContext(transfer, lookalikes=(TransferId("other"),))

    assert decide(blocked, start) == ()
    assert decide(DecisionContext(transfer), replace(start, at=start.at - 1)) == ()
    (started,) = decide(DecisionContext(transfer), start)
    assert isinstance(started, SubmissionStarted)
    assert (started.attempt, started.request_hash) == (2, HASH)


def test_a_request_signed_for_another_attempt_is_not_sent() -> None:
    """Reconciliation would look for the wrong client id and never find the movement."""
    ledger = ledger_in("again")

    for attempt in (0, 1, 3):
        start = StartSubmission(attempt, AT, 5_000, HASH, 600_000, AT + 1_000)
        assert execute(ledger, start) == ""


def test_a_transfer_fails_after_the_last_not_processed_attempt() -> None:
    ledger = DecisionModel((REQUESTED, RESERVED))
    result = ""
    for attempt in range(1, NOT_PROCESSED_MAX + 1):
        assert not result.startswith("TransferFailed")
        execute(ledger, StartSubmission(attempt, AT, 5_000, HASH, 600_000, AT))
        note = RecordNotExecuted(attempt, NotExecutedReason.NOT_PROCESSED, "429", AT, AT)
        result = execute(ledger, note)

    assert result == ENDED
    assert ledger.transfers[ID].failure_reason is FailureReason.NOT_PROCESSED
    assert ledger.transfers[ID].message == "not processed by the exchange 3 times; last: 429"


def test_unsent_attempts_are_retried_without_limit() -> None:
    ledger = DecisionModel((REQUESTED, RESERVED))
    for attempt in range(1, 10):
        execute(ledger, StartSubmission(attempt, AT, 5_000, HASH, 600_000, AT))
        note = RecordNotExecuted(attempt, NotExecutedReason.NOT_SENT, "no route", AT, AT)
        assert execute(ledger, note) == "SubmissionNotExecuted"


def test_the_message_of_an_expired_transfer_contains_the_last_cause() -> None:
    (ended, _) = decide(
        DecisionContext(ledger_in("again").transfers[ID]), ExpireTransfer(600_000, LATE)
    )

    assert isinstance(ended, TransferFailed)
    assert ended.message == (
        f"not sent within 600 s of its acceptance; the last attempt: {NOT_PROCESSED.cause}"
    )


@pytest.mark.parametrize(
    ("phase", "command", "kind"),
    [
        ("unknown", "DONE 77", TransferCompleted),
        ("failed", "DONE 77", TransferCorrected),
        ("disputed", "DONE 77", TransferVerified),
    ],
)
def test_the_note_of_an_operator_is_recorded(
    phase: str, command: str, kind: type[TransferCompleted | TransferCorrected | TransferVerified]
) -> None:
    ledger = ledger_in(phase)
    event = ledger.execute(ID, COMMANDS[command](ledger.transfers[ID]))[0]

    assert isinstance(event, kind)
    assert event.note == "seen"


@pytest.mark.parametrize(
    ("phase", "command", "message"),
    [
        (
            "done",
            "FAILED",
            "t-1 is done; only a transfer that is unresolved or disputed can be resolved as FAILED",
        ),
        (
            "requested",
            "DONE 77",
            "only a transfer that is unresolved, disputed or failed can be resolved as DONE",
        ),
        ("unknown", "DONE 99", "movement 99 belongs to transfer another"),
        (
            "disputed",
            "DONE 78",
            "was completed by movement 77; confirm that movement, or resolve the transfer as FAIL",
        ),
    ],
)
def test_the_error_of_a_refused_resolution_names_the_reason(
    phase: str, command: str, message: str
) -> None:
    ledger = ledger_in(phase)
    given = COMMANDS[command](ledger.transfers[ID])

    with pytest.raises(TransferStateError, match=message):
        decide(ledger.context(ID, given), given)


@pytest.mark.parametrize(
    "reply",
    [
        RecordRefused(1, FailureReason.REFUSED, "-5013", AT),
        RecordNotExecuted(1, NotExecutedReason.NOT_SENT, "reset", AT, AT),
        RecordCompleted(1, "77", Evidence.REPLY, AT),
    ],
)
def test_a_reply_that_came_first_makes_a_match_out_of_date(reply: TreasuryCommand) -> None:
    """The exchange's own word about the attempt outweighs a movement of the same amount."""
    ledger = ledger_in("submitted")

    assert execute(ledger, reply)
    assert execute(ledger, RecordMatched(1, "78", AT)) == ""


def test_a_disputed_transfer_ignores_absence_and_refusals() -> None:
    """The exchange has named a movement for it that another transfer has claimed."""
    ledger = ledger_in("submitted")
    moved = COMMANDS["moved 99"](ledger.transfers[ID])

    (event,) = ledger.execute(ID, moved)

    assert isinstance(event, TransferDisputed)
    assert (
        "history assigns movement 99 to this transfer, but transfer another has already claimed it"
    ) in event.cause
    for command in ("absent", "refused", "not sent"):
        assert execute(ledger, COMMANDS[command](ledger.transfers[ID])) == ""
    assert execute(ledger, COMMANDS["FAILED"](ledger.transfers[ID])) == ENDED
