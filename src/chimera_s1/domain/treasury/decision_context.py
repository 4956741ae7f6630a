"""The inputs and the result of a decision about a transfer."""

from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.daily_cap import CapDay
from chimera_s1.domain.treasury.events import TreasuryEvent
from chimera_s1.domain.treasury.transfer import Transfer

DecidedEvents: TypeAlias = tuple[TreasuryEvent, ...]
"""Events to append in one commit; empty if nothing changes."""


class TransferStateError(ChimeraError):
    """The state of the transfer does not allow the command; the text names the state."""

    code = "treasury.state"


class DecisionContext(Struct, frozen=True):
    """The ledger's state on which a decision depends.

    Attributes:
        transfer: None if it does not exist.
        cap: The day that the transfer counts against.
        lookalikes: Other unresolved transfers of the same direction and amount; a movement at the
            exchange could belong to any of them.
        movement_owner: The transfer that has claimed the command's movement; None if unclaimed.
    """

    transfer: Transfer | None = None
    cap: CapDay = CapDay()
    lookalikes: tuple[TransferId, ...] = ()
    movement_owner: TransferId | None = None
