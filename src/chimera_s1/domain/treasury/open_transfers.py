"""What the whole treasury ledger comes to, as far as anybody acts on it: the transfers that are not
over, and what each day of the cap has left.

Transfers that are over are forgotten here; their streams tell their lives.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import assert_never

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, Head, head_of
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap
from chimera_s1.domain.treasury.event_records import CAP_STREAM, UnknownEvent, read_record
from chimera_s1.domain.treasury.events import (
    CapEvent,
    FailureKind,
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

_ENDS = (TransferCompleted, TransferCorrected, TransferFailed, TransferVerified)


BELIEVED = frozenset({FailureKind.ABSENT, FailureKind.OPERATOR})
"""Failures that the exchange has not spoken of: late evidence would contradict them."""


class OpenTransfers:
    """A fold over all commits; mutable, since a ledger has many and a copy each would add up.

    Attributes:
        head: Up to where it has been folded.

        waiting: Requested and not sent, oldest first.

        unresolved: Sent, or maybe sent, without a known outcome.

        unverified: Done by the exchange's word, not yet seen in its history.

        absent: Failed because nothing was seen to move, by us or an operator; watched for a while.

        disputed: Contradicted; an operator has to look. Also those that had been over before.
    """

    def __init__(self) -> None:
        self.head = Head()
        self.waiting: dict[TransferId, Transfer] = {}
        self.unresolved: dict[TransferId, Transfer] = {}
        self.unverified: dict[TransferId, Transfer] = {}
        self.absent: dict[TransferId, Transfer] = {}
        self.disputed: set[TransferId] = set()
        self._days: dict[str, CapDay] = {}
        self._too_new: dict[str, UnknownEvent] = {}

    def fold(self, commit: Commit) -> None:
        """Take in the next commit.

        Raises:
            LedgerDamagedError: Its events contradict those before.
        """
        for record in commit.events:
            event = read_record(record)
            if isinstance(event, UnknownEvent):
                self._too_new[record.stream] = event
            elif isinstance(event, CapEvent):
                self._days[event.day] = evolve_cap(self.cap(event.day), event)
            elif isinstance(event, TransferEvent):
                self._follow(event)
        self.head = head_of(commit)

    @property
    def in_review(self) -> int:
        """Transfers that wait for an operator."""
        asked = {name for name, transfer in self.unresolved.items() if transfer.in_review}
        return len(asked | self.disputed)

    def cap(self, day: str) -> CapDay:
        """What has been taken of the cap of *day*, a UTC date."""
        return self._days.get(day, CapDay())

    def day_of(self, stream: str) -> CapDay | None:
        """The day of the cap that *stream* tells of; None where it tells of something else."""
        is_day = stream.startswith(CAP_STREAM)
        return self.cap(stream.removeprefix(CAP_STREAM)) if is_day else None

    def find(self, transfer_id: TransferId) -> Transfer | None:
        """A transfer that is not over; None where it is, or never was."""
        for place in self._places():
            if transfer_id in place:
                return place[transfer_id]
        return None

    def rivals(self, transfer: Transfer) -> tuple[TransferId, ...]:
        """Unresolved transfers whose movement could be taken for that of *transfer*."""
        if transfer.mode is TreasuryMode.SUBACCOUNT:
            return ()
        return tuple(
            other.transfer_id
            for other in self.unresolved.values()
            if (other.direction, other.amount) == (transfer.direction, transfer.amount)
            and other.transfer_id != transfer.transfer_id
        )

    def may_explain(self, direction: Direction, amount: Decimal) -> bool:
        """Whether a movement that nobody has claimed may be that of a transfer which
        waits for one.
        """
        return any(
            (transfer.direction, transfer.amount) == (direction, amount)
            for transfer in (*self.unresolved.values(), *self.absent.values())
        )

    def forget(self, transfer_id: TransferId) -> None:
        """Stop watching a transfer that is over."""
        self.unverified.pop(transfer_id, None)
        self.absent.pop(transfer_id, None)

    def too_new(self, streams: Iterable[str]) -> UnknownEvent | None:
        """An event in one of *streams* that only a newer program understands."""
        return next((self._too_new[name] for name in streams if name in self._too_new), None)

    def _follow(self, event: TransferEvent) -> None:
        if isinstance(event, TransferDisputed):
            self.disputed.add(event.transfer_id)
        elif isinstance(event, _ENDS):
            self.disputed.discard(event.transfer_id)
        known = self.find(event.transfer_id)
        if known is not None or isinstance(event, TransferRequested | TransferRejected):
            self._place(evolve(known, event))
        # Else it is over and forgotten: what comes after that is told by its stream alone.

    def _place(self, transfer: Transfer) -> None:
        for place in self._places():
            place.pop(transfer.transfer_id, None)
        match transfer.phase:
            case Phase.REQUESTED if transfer.is_waiting:
                self.waiting[transfer.transfer_id] = transfer
            case Phase.SUBMITTED | Phase.UNKNOWN:
                self.unresolved[transfer.transfer_id] = transfer
            case Phase.DONE if not transfer.verified and not transfer.disputed:
                self.unverified[transfer.transfer_id] = transfer
            case Phase.FAILED if transfer.failure in BELIEVED:
                self.absent[transfer.transfer_id] = transfer
            case Phase.REQUESTED | Phase.DONE | Phase.FAILED | Phase.REJECTED:
                pass
            case _:
                assert_never(transfer.phase)

    def _places(self) -> tuple[dict[TransferId, Transfer], ...]:
        return (self.waiting, self.unresolved, self.unverified, self.absent)
