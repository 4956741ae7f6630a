"""The invariants of decisions hold for any number of commands in any order."""

from hypothesis import given, settings

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.commands import (
    RecordAbsent,
    RecordCompleted,
    RecordMatched,
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
from tests.unit.domain.treasury.command_strategies import command_sequences
from tests.unit.domain.treasury.decision_model import DecisionModel

_OF_ONE_ATTEMPT = RecordMatched | RecordRefused | RecordNotExecuted | RecordUnknown | RecordAbsent


@settings(max_examples=400)
@given(command_sequences)
def test_the_invariants_hold_for_any_sequence_of_commands(
    commands: list[tuple[TransferId, TreasuryCommand]],
) -> None:
    """`DecisionModel` checks the ledger's invariants after every step."""
    ledger = DecisionModel()
    for about, command in commands:
        name = command.transfer_id if isinstance(command, RequestTransfer) else about
        before = ledger.transfers.get(name)
        try:
            events = ledger.execute(name, command)
        except TransferStateError:
            assert before is None or isinstance(command, ResolveTransfer)
            continue
        if isinstance(command, RecordCompleted):
            assert _is_respected(ledger.transfers[name], command)
        elif isinstance(command, _OF_ONE_ATTEMPT):
            assert before is not None
            assert not events or before.attempt == command.attempt
        assert not any(isinstance(e, TransferRejected) for e in events) or before is None

    assert not ledger.broken


def _is_respected(transfer: Transfer, command: RecordCompleted) -> bool:
    """Positive evidence completes the transfer or disputes it."""
    done_by_it = transfer.phase is Phase.DONE and transfer.tran_id == command.tran_id
    return done_by_it or transfer.disputed or transfer.phase is Phase.REJECTED
