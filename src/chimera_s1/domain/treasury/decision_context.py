"""What a decision about a transfer depends on."""

from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.daily_cap import CapDay
from chimera_s1.domain.treasury.events import TreasuryEvent
from chimera_s1.domain.treasury.transfer import Transfer

DecidedEvents: TypeAlias = tuple[TreasuryEvent, ...]
"""What belongs into the ledger together."""


class TransferStateError(ChimeraError):
    """The transfer is not in a state in which this can be done; the text says in which it is."""

    code = "treasury.state"


class DecisionContext(Struct, frozen=True):
    """What the ledger says about all that a decision depends on.

    Attributes:
        transfer: None where its stream does not exist.

        cap: The day the transfer counts against.

        lookalikes: Other transfers of the same direction and amount that are unresolved: a movement
            at the exchange could be theirs.

        movement_owner: Whose the movement that the command names is already; None where it is free.
    """

    transfer: Transfer | None = None
    cap: CapDay = CapDay()
    lookalikes: tuple[TransferId, ...] = ()
    movement_owner: TransferId | None = None
