"""Each event is one log line; its level follows the work it means for an operator."""

import logging
from decimal import Decimal

import pytest

from chimera_s1.app.capabilities.treasury.log_transfers import log_events
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    ForeignMovementObserved,
    TransferEvent,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.transfer import evolve
from tests.transfer_events import (
    AT,
    CLAIMED,
    CORRECTED,
    DISPUTED,
    ID,
    NOT_SENT,
    REJECTED,
    REQUESTED,
    RESERVED,
    REVIEW,
    SETTLED,
    STARTED,
    UNKNOWN,
    VERIFIED,
    completed_event,
    failed_event,
)

MOVED = f"transfer {ID}, 12.5 USDT from SPOT to FUT: "
LEVELS: list[tuple[TransferEvent, int]] = [
    (STARTED, logging.DEBUG),
    (VERIFIED, logging.DEBUG),
    (REJECTED, logging.INFO),
    (completed_event(Evidence.HISTORY), logging.INFO),
    (NOT_SENT, logging.WARNING),
    (UNKNOWN, logging.WARNING),
    (failed_event(FailureReason.REFUSED), logging.WARNING),
    (failed_event(FailureReason.FORBIDDEN), logging.ERROR),
    (DISPUTED, logging.ERROR),
    (REVIEW, logging.ERROR),
    (CORRECTED, logging.CRITICAL),
]


@pytest.mark.parametrize(("event", "level"), LEVELS)
def test_log_level_follows_the_operators_work(
    caplog: pytest.LogCaptureFixture, event: TransferEvent, level: int
) -> None:
    """Id, amount and direction are in every line."""
    caplog.set_level(logging.DEBUG)
    log_events((event,), evolve(None, REQUESTED))

    [record] = caplog.records
    assert record.levelno == level
    assert record.message.startswith(MOVED)


def test_outcome_is_one_line_with_its_evidence(caplog: pytest.LogCaptureFixture) -> None:
    """Cap and claim events of the same commit are not logged."""
    caplog.set_level(logging.DEBUG)
    log_events((REQUESTED, RESERVED), evolve(None, REQUESTED))
    log_events((completed_event(Evidence.REPLY), SETTLED, CLAIMED), evolve(None, REQUESTED))

    accepted, moved = caplog.messages
    assert accepted.startswith(f"transfer {ID}: accepted: 12.5 USDT from SPOT to FUT")
    assert moved.startswith(f"{MOVED}done: the exchange's reply names movement ")


def test_foreign_movement_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Another program or person uses the account."""
    caplog.set_level(logging.INFO)
    foreign = ForeignMovementObserved(
        tran_id="77", direction=Direction.FUT_TO_SPOT, amount=Decimal(5), moved_at=AT
    )
    log_events((foreign,), None)

    [message] = caplog.messages
    assert message.startswith("movement 77, 5 USDT from FUT to SPOT")
