"""The state of a transfer after its events."""

from decimal import Decimal
from functools import reduce
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.treasury.events import Evidence, FailureReason, TransferEvent
from chimera_s1.domain.treasury.limits import LimitRule
from chimera_s1.domain.treasury.transfer import Phase, Transfer, TransferStatus, evolve
from tests.transfer_events import (
    AT,
    CORRECTED,
    DISPUTED,
    ID,
    NOT_PROCESSED,
    NOT_SENT,
    REJECTED,
    REQUESTED,
    REVIEW,
    STARTED,
    TERMS,
    UNKNOWN,
    VERIFIED,
    completed_event,
    failed_event,
)

REPLIED = completed_event(Evidence.REPLY)
ABSENT = failed_event(FailureReason.ABSENT, "silent", (AT,))
LATER: tuple[TransferEvent, ...] = (
    STARTED,
    NOT_SENT,
    NOT_PROCESSED,
    UNKNOWN,
    REPLIED,
    completed_event(Evidence.HISTORY),
    ABSENT,
    VERIFIED,
    DISPUTED,
    CORRECTED,
    REVIEW,
)
PENDING, DONE, FAILED = TransferStatus
HISTORIES: dict[str, tuple[tuple[TransferEvent, ...], Phase, TransferStatus]] = {
    "requested": ((REQUESTED,), Phase.REQUESTED, PENDING),
    "rejected": ((REJECTED,), Phase.REJECTED, FAILED),
    "sent": ((REQUESTED, STARTED), Phase.SUBMITTED, PENDING),
    "not sent": ((REQUESTED, STARTED, NOT_SENT), Phase.REQUESTED, PENDING),
    "unknown": ((REQUESTED, STARTED, UNKNOWN), Phase.UNKNOWN, PENDING),
    "unknown, not processed": (
        (REQUESTED, STARTED, UNKNOWN, NOT_PROCESSED),
        Phase.REQUESTED,
        PENDING,
    ),
    "in review": ((REQUESTED, STARTED, UNKNOWN, REVIEW), Phase.UNKNOWN, PENDING),
    "done": ((REQUESTED, STARTED, REPLIED), Phase.DONE, DONE),
    "verified": ((REQUESTED, STARTED, REPLIED, VERIFIED), Phase.DONE, DONE),
    "disputed": ((REQUESTED, STARTED, REPLIED, DISPUTED), Phase.DONE, DONE),
    "absent": ((REQUESTED, STARTED, UNKNOWN, ABSENT), Phase.FAILED, FAILED),
    "expired": ((REQUESTED, failed_event(FailureReason.EXPIRED)), Phase.FAILED, FAILED),
    "corrected": ((REQUESTED, STARTED, UNKNOWN, ABSENT, CORRECTED), Phase.DONE, DONE),
}


def fold(*events: TransferEvent, start: Transfer | None = None) -> Transfer | None:
    return reduce(evolve, events, start)


def after(*events: TransferEvent) -> Transfer:
    transfer = fold(*events)
    assert transfer is not None
    return transfer


@pytest.mark.parametrize("history", HISTORIES)
def test_each_history_ends_in_its_phase(history: str) -> None:
    events, phase, status = HISTORIES[history]

    transfer = after(*events)

    assert (transfer.phase, transfer.status) == (phase, status)
    assert transfer.version == len(events)
    assert transfer.is_unresolved is (phase in {Phase.SUBMITTED, Phase.UNKNOWN})
    assert transfer.is_finished is (status is not PENDING)
    assert transfer.is_queued is (phase is Phase.REQUESTED)


def test_every_phase_is_reached() -> None:
    assert {phase for _, phase, _ in HISTORIES.values()} == set(Phase)


def test_a_requested_transfer_has_the_terms_of_the_request() -> None:
    transfer = after(REQUESTED)

    for name in TERMS.__struct_fields__:
        assert getattr(transfer, name) == getattr(TERMS, name)
    assert (transfer.transfer_id, transfer.attempt, transfer.counts_against_cap) == (ID, 0, True)


def test_a_rejected_transfer_is_finished_at_once() -> None:
    transfer = after(REJECTED)

    assert transfer.rule is LimitRule.BELOW_MIN
    assert transfer.finished_at == TERMS.accepted_at
    assert transfer.message == REJECTED.message
    assert not transfer.counts_against_cap


def test_an_attempt_that_was_not_executed_requeues_the_transfer() -> None:
    again = replace(STARTED, attempt=2, signed_at=AT + 9_000, request_hash="a")

    waiting = after(REQUESTED, STARTED, NOT_SENT, again, replace(NOT_PROCESSED, attempt=2))

    assert (waiting.attempt, waiting.not_processed_count) == (2, 1)
    assert waiting.not_before_ms == NOT_PROCESSED.not_before
    assert waiting.message == NOT_PROCESSED.cause
    assert (waiting.signed_at, waiting.request_hash) == (AT + 9_000, "a")


def test_a_new_attempt_clears_the_unknown_outcome() -> None:
    transfer = after(REQUESTED, STARTED, UNKNOWN, NOT_SENT, replace(STARTED, attempt=2))

    assert (transfer.unknown_at, transfer.message) == (0, "")


@pytest.mark.parametrize("evidence", Evidence)
def test_only_a_completion_by_reply_is_verified_later(evidence: Evidence) -> None:
    transfer = after(REQUESTED, STARTED, completed_event(evidence))

    assert transfer.verified is (evidence is not Evidence.REPLY)
    assert (transfer.tran_id, transfer.evidence, transfer.finished_at) == ("77", evidence, AT)


def test_a_correction_replaces_the_failure() -> None:
    transfer = after(REQUESTED, STARTED, UNKNOWN, ABSENT, CORRECTED)

    assert transfer.corrected
    assert (transfer.failure_reason, transfer.message) == (None, "")
    assert transfer.counts_against_cap


@pytest.mark.parametrize("end", [VERIFIED, ABSENT, CORRECTED, REPLIED])
def test_every_final_event_ends_a_dispute(end: TransferEvent) -> None:
    disputed = after(REQUESTED, STARTED, UNKNOWN, DISPUTED)
    ended = evolve(disputed, end)

    assert (disputed.disputed, disputed.in_review) == (True, True)
    assert (ended.disputed, ended.in_review) == (False, False)


def test_a_settled_amount_still_counts_after_an_operator_resolves_failed() -> None:
    denied = after(REQUESTED, STARTED, REPLIED, DISPUTED, failed_event(FailureReason.OPERATOR))

    assert (denied.phase, denied.counts_against_cap) == (Phase.FAILED, True)
    assert not after(REQUESTED, STARTED, ABSENT).counts_against_cap
    assert not after(
        REQUESTED, STARTED, ABSENT, DISPUTED, failed_event(FailureReason.OPERATOR)
    ).counts_against_cap


@pytest.mark.parametrize("event", LATER, ids=lambda event: type(event).__name__)
def test_a_later_event_needs_an_initial_event(event: TransferEvent) -> None:
    with pytest.raises(LedgerDamagedError, match="t-1 has no initial event"):
        evolve(None, event)


@pytest.mark.parametrize("event", [REQUESTED, REJECTED])
@pytest.mark.parametrize("history", HISTORIES)
def test_a_second_initial_event_is_damage(history: str, event: TransferEvent) -> None:
    with pytest.raises(LedgerDamagedError, match="t-1 has two initial events"):
        evolve(after(*HISTORIES[history][0]), event)


@given(st.lists(st.sampled_from(LATER), max_size=12), st.integers(0, 13))
def test_a_fold_may_be_resumed_at_any_event(events: list[TransferEvent], at: int) -> None:
    """Each event adds one to the version, and the amount never changes."""
    whole = [REQUESTED, *events]
    transfer = after(*whole)

    assert fold(*whole[at:], start=fold(*whole[:at])) == transfer
    assert transfer.version == len(whole)
    assert transfer.amount == Decimal("12.5")


def test_evolve_rejects_an_unknown_event() -> None:
    with pytest.raises(AssertionError):
        evolve(after(REQUESTED), cast("TransferEvent", object()))
