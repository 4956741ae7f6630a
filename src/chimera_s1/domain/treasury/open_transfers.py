"""What the whole treasury ledger comes to, as far as anybody acts on it: the transfers that are not
over, and what each day of the cap has left.

Transfers that are over are forgotten here; their streams tell their lives.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import assert_never

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, head_of
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap
from chimera_s1.domain.treasury.event_records import CAP_STREAM_PREFIX, UnknownEvent, decode_event
from chimera_s1.domain.treasury.events import (
    CapEvent,
    FailureReason,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferEvent,
    TransferFailed,
    TransferRejected,
    TransferRequested,
    TransferVerified,
    TreasuryMode,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.transfer import Phase, Transfer, evolve

_FINAL_EVENTS = (TransferCompleted, TransferCorrected, TransferFailed, TransferVerified)


UNCONFIRMED_FAILURES = frozenset({FailureReason.ABSENT, FailureReason.OPERATOR})
"""Failures that the exchange has not spoken of: late evidence would contradict them."""


class OpenTransfers:
    """A fold over all commits; mutable, since a ledger has many and a copy each would add up.

    Attributes:
        head: Up to where it has been folded.

        queued: Requested and not sent, oldest first.

        unresolved: Sent, or maybe sent, without a known outcome.

        unverified: Done by the exchange's word, not yet seen in its history.

        watched_failures: Failed because nothing was seen to move, by us or an operator; watched for
            a while.

        disputed: Contradicted; an operator has to look. Also those that had been over before.
    """

    def __init__(self) -> None:
        self.head = LedgerHead()
        self.queued: dict[TransferId, Transfer] = {}
        self.unresolved: dict[TransferId, Transfer] = {}
        self.unverified: dict[TransferId, Transfer] = {}
        self.watched_failures: dict[TransferId, Transfer] = {}
        self.disputed: set[TransferId] = set()
        self._cap_days: dict[str, CapDay] = {}
        self._unknown_events: dict[str, UnknownEvent] = {}

    def fold_commit(self, commit: Commit) -> None:
        """Take in the next commit.

        Raises:
            LedgerDamagedError: Its events contradict those before.
        """
        for record in commit.events:
            event = decode_event(record)
            if isinstance(event, UnknownEvent):
                self._unknown_events[record.stream] = event
            elif isinstance(event, CapEvent):
                self._cap_days[event.day] = evolve_cap(self.cap_on(event.day), event)
            elif isinstance(event, TransferEvent):
                self._apply_event(event)
        self.head = head_of(commit)

    @property
    def in_review(self) -> int:
        """Transfers that wait for an operator."""
        asked = {name for name, transfer in self.unresolved.items() if transfer.in_review}
        return len(asked | self.disputed)

    def cap_on(self, day: str) -> CapDay:
        """What has been taken of the cap of *day*, a UTC date."""
        return self._cap_days.get(day, CapDay())

    def cap_of_stream(self, stream: str) -> CapDay | None:
        """The day of the cap that *stream* tells of; None where it tells of something else."""
        is_day = stream.startswith(CAP_STREAM_PREFIX)
        return self.cap_on(stream.removeprefix(CAP_STREAM_PREFIX)) if is_day else None

    def find(self, transfer_id: TransferId) -> Transfer | None:
        """A transfer that is not over; None where it is, or never was."""
        for group in self._groups():
            if transfer_id in group:
                return group[transfer_id]
        return None

    def lookalikes(self, transfer: Transfer) -> tuple[TransferId, ...]:
        """Unresolved transfers whose movement could be taken for that of *transfer*."""
        if transfer.mode is TreasuryMode.SUBACCOUNT:
            return ()
        return tuple(
            other.transfer_id
            for other in self.unresolved.values()
            if (other.direction, other.amount) == (transfer.direction, transfer.amount)
            and other.transfer_id != transfer.transfer_id
        )

    def has_match_for(self, direction: Direction, amount: Decimal) -> bool:
        """Whether a movement that nobody has claimed may be that of a transfer which
        waits for one.
        """
        return any(
            (transfer.direction, transfer.amount) == (direction, amount)
            for transfer in (*self.unresolved.values(), *self.watched_failures.values())
        )

    def stop_watching(self, transfer_id: TransferId) -> None:
        """Stop watching a transfer that is over."""
        self.unverified.pop(transfer_id, None)
        self.watched_failures.pop(transfer_id, None)

    def find_unknown_event(self, streams: Iterable[str]) -> UnknownEvent | None:
        """An event in one of *streams* that only a newer program understands."""
        return next(
            (self._unknown_events[name] for name in streams if name in self._unknown_events), None
        )

    def _apply_event(self, event: TransferEvent) -> None:
        if isinstance(event, TransferDisputed):
            self.disputed.add(event.transfer_id)
        elif isinstance(event, _FINAL_EVENTS):
            self.disputed.discard(event.transfer_id)
        known = self.find(event.transfer_id)
        if known is not None or isinstance(event, TransferRequested | TransferRejected):
            self._file(evolve(known, event))
        # Else it is over and forgotten: what comes after that is told by its stream alone.

    def _file(self, transfer: Transfer) -> None:
        for place in self._groups():
            place.pop(transfer.transfer_id, None)
        match transfer.phase:
            case Phase.REQUESTED if transfer.is_queued:
                self.queued[transfer.transfer_id] = transfer
            case Phase.SUBMITTED | Phase.UNKNOWN:
                self.unresolved[transfer.transfer_id] = transfer
            case Phase.DONE if not transfer.verified and not transfer.disputed:
                self.unverified[transfer.transfer_id] = transfer
            case Phase.FAILED if transfer.failure_reason in UNCONFIRMED_FAILURES:
                self.watched_failures[transfer.transfer_id] = transfer
            case Phase.REQUESTED | Phase.DONE | Phase.FAILED | Phase.REJECTED:
                pass
            case _:
                assert_never(transfer.phase)

    def _groups(self) -> tuple[dict[TransferId, Transfer], ...]:
        return (self.queued, self.unresolved, self.unverified, self.watched_failures)
