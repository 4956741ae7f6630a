"""Log transfers: one line for each event that an operator may look for."""

import logging
from collections.abc import Iterable
from typing import assert_never

from chimera_s1.app.capabilities.treasury.text_format import format_movement
from chimera_s1.app.capabilities.treasury.transfer_timeline import describe_event
from chimera_s1.domain.treasury.events import (
    FailureReason,
    ForeignMovementObserved,
    OutcomeUnknown,
    ReviewRequested,
    SubmissionNotExecuted,
    SubmissionStarted,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferEvent,
    TransferFailed,
    TransferRejected,
    TransferRequested,
    TransferVerified,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.transfer import Transfer

_log = logging.getLogger(__name__)


def log_events(events: Iterable[TreasuryEvent], transfer: Transfer | None) -> None:
    """Log the events of one commit; *transfer* is None where they concern none."""
    for event in events:
        if isinstance(event, ForeignMovementObserved):
            _log.info("%s", describe_event(event))
        elif isinstance(event, TransferEvent) and transfer is not None:
            _log.log(
                _level(event), "transfer %s: %s", _subject(event, transfer), describe_event(event)
            )


def _subject(event: TransferEvent, transfer: Transfer) -> str:
    if isinstance(event, TransferRequested):
        return transfer.transfer_id  # its text names the amount
    return f"{transfer.transfer_id}, {format_movement(transfer.direction, transfer.amount)}"


def _level(event: TransferEvent) -> int:
    match event:
        case SubmissionStarted() | TransferVerified():
            return logging.DEBUG
        case TransferRequested() | TransferRejected() | TransferCompleted():
            return logging.INFO
        case SubmissionNotExecuted() | OutcomeUnknown():
            return logging.WARNING
        case TransferFailed(kind=kind):
            return logging.ERROR if kind is FailureReason.FORBIDDEN else logging.WARNING
        case TransferDisputed() | ReviewRequested():
            return logging.ERROR
        case TransferCorrected():
            return logging.CRITICAL
        case _:
            assert_never(event)
