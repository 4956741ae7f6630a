"""Any number of commands in any order: the promises hold."""

from hypothesis import given, settings

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.commands import (
    RecordAbsent,
    RecordCompleted,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    RequestTransfer,
    ResolveTransfer,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.events import TransferRejected
from chimera_s1.domain.treasury.transfer import Phase, Transfer
from tests.unit.domain.treasury.command_strategies import things_said
from tests.unit.domain.treasury.decision_model import DecisionModel


@settings(max_examples=400)
@given(things_said)
def test_whatever_is_said_in_whatever_order_the_promises_hold(
    said: list[tuple[TransferId, TreasuryCommand]],
) -> None:
    """At most one beginning, one claim of a movement, one booking of each kind of a share; DONE
    only with a claim, nothing after a rejection, never over the cap: `PureLedger` looks at every
    step.
    """
    ledger = DecisionModel()
    for about, command in said:
        name = command.transfer_id if isinstance(command, RequestTransfer) else about
        before = ledger.transfers.get(name)
        try:
            events = ledger.execute(name, command)
        except TransferStateError:
            assert before is None or isinstance(command, ResolveTransfer)
            continue
        if isinstance(command, RecordCompleted):
            assert _believed(ledger.transfers[name], command)
        elif isinstance(command, RecordRefused | RecordNotExecuted | RecordUnknown | RecordAbsent):
            assert before is not None
            assert not events or before.attempt == command.attempt
        assert not any(isinstance(e, TransferRejected) for e in events) or before is None

    assert not ledger.broken


def _believed(transfer: Transfer, command: RecordCompleted) -> bool:
    """Positive evidence always wins, or a human is called."""
    done_by_it = transfer.phase is Phase.DONE and transfer.tran_id == command.tran_id
    return done_by_it or transfer.disputed or transfer.phase is Phase.REJECTED
