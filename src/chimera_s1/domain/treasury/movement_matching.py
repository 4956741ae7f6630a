"""Which movement of the exchange's history belongs to which transfer.

In wallet mode a movement carries no id of ours and is matched by direction, amount and time.
Therefore no other transfer of the same direction and amount is sent while one is unresolved, and a
movement is claimed once. In sub-account mode a movement carries our client id.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.reconciliation import (
    Matched,
    MatchPending,
    Movement,
    MovementStatus,
    NoMatch,
    ReconciliationTiming,
    client_id_of,
    matches_amount_and_time,
)
from chimera_s1.domain.treasury.transfer import Transfer

MovementMatch: TypeAlias = Matched | MatchPending | NoMatch

Candidates: TypeAlias = Mapping[TransferId, Sequence[Movement]]
"""The movements that may belong to each transfer, the likeliest first."""


class MovementIndex:
    """A complete read of the history, found by what a transfer is matched by.

    A round matches hundreds of transfers with hundreds of movements: no transfer scans them all.
    """

    def __init__(self, movements: Iterable[Movement]) -> None:
        self.by_tran_id = {movement.tran_id: movement for movement in movements}
        self._by_amount: dict[object, list[Movement]] = defaultdict(list)
        self._by_client_id: dict[str, list[Movement]] = defaultdict(list)
        for movement in self.by_tran_id.values():
            self._by_amount[movement.direction, movement.amount].append(movement)
            self._by_client_id[movement.client_id].append(movement)

    def of_same_amount(self, transfer: Transfer) -> Sequence[Movement]:
        """The movements of its direction and amount, at any time and in any status."""
        return self._by_amount.get((transfer.direction, transfer.amount), ())

    def candidates(self, transfer: Transfer, timing: ReconciliationTiming) -> tuple[Movement, ...]:
        """The movements that may be the transfer's, nearest to its signature first.

        A PENDING movement wins over a CONFIRMED one further away, which may be made by hand.
        """
        fitting = (m for m in self._fitting(transfer, timing) if m.status in _MAY_HAVE_MOVED)
        return tuple(
            sorted(fitting, key=lambda m: (abs(m.moved_at - transfer.signed_at), m.tran_id))
        )

    def _fitting(self, transfer: Transfer, timing: ReconciliationTiming) -> Iterable[Movement]:
        if transfer.mode is TreasuryMode.SUBACCOUNT:
            own = client_id_of(transfer.transfer_id, transfer.attempt)
            return self._by_client_id.get(own, ())
        return (
            movement
            for movement in self.of_same_amount(transfer)
            if matches_amount_and_time(transfer, timing, movement.amount, movement.moved_at)
        )


_MAY_HAVE_MOVED = frozenset({MovementStatus.CONFIRMED, MovementStatus.PENDING})


def match_of(movement: Movement | None) -> MovementMatch:
    """What the movement assigned to a transfer says about it."""
    if movement is None:
        return NoMatch()
    pending = movement.status is MovementStatus.PENDING
    return MatchPending(movement) if pending else Matched(movement)


def assign_movements(candidates: Candidates) -> dict[TransferId, Movement]:
    """Give each transfer a movement of its own, and as many transfers as possible one.

    Each transfer, in the order of *candidates*, gets its nearest free movement; where none is free,
    an earlier transfer gives up its own for another one. (Maximum matching by augmenting paths:
    with the nearest alone, a transfer whose only movement another one took would be called FAILED
    although it moved money.)
    """
    owners: dict[str, TransferId] = {}
    assigned: dict[TransferId, Movement] = {}
    for transfer_id in candidates:
        _assign(transfer_id, candidates, owners, assigned, set())
    return assigned


def _assign(
    transfer_id: TransferId,
    candidates: Candidates,
    owners: dict[str, TransferId],
    assigned: dict[TransferId, Movement],
    tried: set[str],
) -> bool:
    # False sorts before True, and the order of distance stays: free movements first.
    for movement in sorted(candidates[transfer_id], key=lambda each: each.tran_id in owners):
        if movement.tran_id in tried:
            continue
        tried.add(movement.tran_id)
        owner = owners.get(movement.tran_id)
        if owner is None or _assign(owner, candidates, owners, assigned, tried):
            owners[movement.tran_id] = transfer_id
            assigned[transfer_id] = movement
            return True
    return False
