"""In-memory state of the treasury ledger: open transfers and the use of the daily caps.

Closed transfers are dropped; their history is in their streams.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import assert_never

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, head_of
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap
from chimera_s1.domain.treasury.event_records import CAP_STREAM_PREFIX, decode_event
from chimera_s1.domain.treasury.events import (
    CapEvent,
    MovementClaimed,
    MovementEvent,
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
from chimera_s1.domain.treasury.transfer import UNCONFIRMED_FAILURES, Phase, Transfer, evolve

_FINAL_EVENTS = (TransferCompleted, TransferCorrected, TransferFailed, TransferVerified)

RECENT_MOVEMENTS_MAX = 10_000
"""Movements remembered, the newest ones: more than any read of the histories shows."""


class OpenTransfers:
    """A fold over all commits; mutable, because copying it for every commit would be slow.

    Attributes:
        head: The last folded commit.
        queued: Requested and not sent, oldest first.
        unresolved: Possibly sent, outcome unknown.
        unverified: Completed by the exchange's reply, not yet seen in its history.
        watched_failures: Failed because no movement was found, by us or an operator; the history
            is watched for late evidence.
        disputed: Contradictory evidence; an operator must decide. Includes closed transfers.
        recent_movements: The transfer that has claimed a movement, by `tran_id`; None if it was
            recorded as foreign. Only the newest `RECENT_MOVEMENTS_MAX`.
    """

    def __init__(self) -> None:
        self.head = LedgerHead()
        self.queued: dict[TransferId, Transfer] = {}
        self.unresolved: dict[TransferId, Transfer] = {}
        self.unverified: dict[TransferId, Transfer] = {}
        self.watched_failures: dict[TransferId, Transfer] = {}
        self.disputed: set[TransferId] = set()
        self.recent_movements: dict[str, TransferId | None] = {}
        self._cap_days: dict[str, CapDay] = {}
        self._unknown_events: dict[str, UnknownEvent] = {}

    def fold_commit(self, commit: Commit) -> None:
        """Apply the next commit.

        Raises:
            LedgerDamagedError: Its events contradict earlier ones.
        """
        for record in commit.events:
            event = decode_event(record)
            if isinstance(event, UnknownEvent):
                self._unknown_events[record.stream] = event
            elif isinstance(event, CapEvent):
                self._cap_days[event.day] = evolve_cap(self.cap_on(event.day), event)
            elif isinstance(event, TransferEvent):
                self._apply_event(event)
            elif isinstance(event, MovementEvent):
                self._remember_movement(event)
            else:
                assert_never(event)
        self.head = head_of(commit)

    @property
    def in_review(self) -> int:
        """Number of transfers that wait for an operator."""
        in_review = {key for key, transfer in self.unresolved.items() if transfer.in_review}
        return len(in_review | self.disputed)

    def cap_on(self, day: str) -> CapDay:
        """The use of the cap on *day*, a UTC date."""
        return self._cap_days.get(day, CapDay())

    def cap_of_stream(self, stream: str) -> CapDay | None:
        """The cap day of *stream*; None if it is not a stream of a cap day."""
        is_day = stream.startswith(CAP_STREAM_PREFIX)
        return self.cap_on(stream.removeprefix(CAP_STREAM_PREFIX)) if is_day else None

    def find(self, transfer_id: TransferId) -> Transfer | None:
        """The transfer if it is open; None if it is closed or unknown."""
        for group in self._groups():
            if transfer_id in group:
                return group[transfer_id]
        return None

    def lookalikes(self, transfer: Transfer) -> tuple[TransferId, ...]:
        """Unresolved transfers whose movement could be mistaken for that of *transfer*."""
        if transfer.mode is TreasuryMode.SUBACCOUNT:
            return ()
        return tuple(
            other.transfer_id
            for other in self.unresolved.values()
            if (other.direction, other.amount) == (transfer.direction, transfer.amount)
            and other.transfer_id != transfer.transfer_id
        )

    def has_match_for(self, direction: Direction, amount: Decimal) -> bool:
        """Whether an unclaimed movement may belong to an unresolved or failed transfer."""
        return any(
            (transfer.direction, transfer.amount) == (direction, amount)
            for transfer in (*self.unresolved.values(), *self.watched_failures.values())
        )

    def stop_watching(self, transfer_id: TransferId) -> None:
        """Drop a closed transfer."""
        self.unverified.pop(transfer_id, None)
        self.watched_failures.pop(transfer_id, None)

    def find_unknown_event(self, streams: Iterable[str]) -> UnknownEvent | None:
        """An event in one of *streams* that only a newer version of S1 understands."""
        return next(filter(None, map(self._unknown_events.get, streams)), None)

    def _apply_event(self, event: TransferEvent) -> None:
        if isinstance(event, TransferDisputed):
            self.disputed.add(event.transfer_id)
        elif isinstance(event, _FINAL_EVENTS):
            self.disputed.discard(event.transfer_id)
        transfer = self.find(event.transfer_id)
        if transfer is not None or isinstance(event, TransferRequested | TransferRejected):
            self._regroup(evolve(transfer, event))
        # Otherwise the transfer is closed and dropped; its stream keeps the event.

    def _remember_movement(self, event: MovementEvent) -> None:
        owner = event.transfer_id if isinstance(event, MovementClaimed) else None
        self.recent_movements.pop(event.tran_id, None)  # the newest entry goes to the end
        self.recent_movements[event.tran_id] = owner
        if len(self.recent_movements) > RECENT_MOVEMENTS_MAX:
            del self.recent_movements[next(iter(self.recent_movements))]

    def _regroup(self, transfer: Transfer) -> None:
        for group in self._groups():
            group.pop(transfer.transfer_id, None)
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
