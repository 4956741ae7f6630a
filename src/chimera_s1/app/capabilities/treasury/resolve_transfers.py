"""Resolve a transfer by hand: an operator has looked at the exchange and says what happened."""

from collections.abc import Callable

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.commands import ResolveTransfer
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.events import OperatorVerdict
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming, execution_window
from chimera_s1.domain.treasury.transfer import Transfer


class TransferNotFoundError(ChimeraError):
    """No transfer has that id."""

    code = "treasury.not_found"


class ResolveTransfers:
    """Writes verdicts of operators into the ledger, with their names and reasons.

    Args:
        ledger: Where they stand.

        clock: When they were given.

        exchange_ms: The exchange's clock, epoch ms.

        timing: How long a request may still be executed.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        clock: Clock,
        *,
        exchange_ms: Callable[[], float],
        timing: ReconciliationTiming,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._patience = timing

    async def resolve(
        self,
        transfer_id: TransferId,
        verdict: OperatorVerdict,
        *,
        tran_id: str,
        note: str,
        actor: str,
    ) -> Transfer:
        """End *transfer_id* as *verdict* says.

        Args:
            transfer_id: Its outcome is unknown, or it failed and moved money after all.

            verdict: What happened.

            tran_id: The exchange's number of the movement, with DONE; else empty.

            note: What the operator saw, for the record.

            actor: The operator.

        Raises:
            TransferNotFoundError: There is no such transfer.

            TransferStateError: It is over, or the movement is another transfer's, or it is too
                early to say that nothing has moved.

            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It may not be written.
        """
        transfer = await self._ledger.find(transfer_id)
        if transfer is None:
            raise TransferNotFoundError(f"there is no transfer {transfer_id}")
        left_ms = execution_window(transfer, self._patience).end - self._exchange_ms()
        if verdict is OperatorVerdict.FAILED and transfer.is_unresolved and left_ms >= 0:
            raise TransferStateError(
                f"the exchange may execute the request of transfer {transfer_id} for another "
                f"{left_ms / 1000:.0f} s; look again after that"
            )
        command = ResolveTransfer(verdict, tran_id, note, self._clock.now_ms())
        decided = await self._ledger.execute(transfer_id, command, actor)
        return decided.transfer
