"""Resolve a transfer: an operator has checked the exchange and records the outcome."""

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
    code = "treasury.not_found"


class ResolveTransfers:
    """Args:
    exchange_ms: The exchange's clock is not behind this, epoch ms; 0 if it is not known.
    timing: How long the exchange may still execute a request.
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
        self._timing = timing

    async def resolve(
        self,
        transfer_id: TransferId,
        verdict: OperatorVerdict,
        *,
        tran_id: str,
        note: str,
        actor: str,
    ) -> Transfer:
        """Record the *verdict* on a transfer that is unresolved, or that failed but moved money.

        *tran_id* is the exchange's id of the movement, with DONE; else empty. *note* is what the
        operator saw.

        Raises:
            TransferNotFoundError: The id was never used.
            TransferStateError: The transfer is final, another transfer has claimed the movement,
                or the exchange may still execute the request.
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It may not be written.
        """
        transfer = await self._ledger.find(transfer_id)
        if transfer is None:
            raise TransferNotFoundError(f"transfer {transfer_id} not found")
        exchange_ms = self._exchange_ms()
        left_ms = execution_window(transfer, self._timing).end - exchange_ms
        if verdict is OperatorVerdict.FAILED and transfer.is_unresolved and left_ms >= 0:
            how_long = (
                f"for {left_ms / 1000:.0f} s; retry then"
                if exchange_ms
                else "because its clock was not measured yet; see clock.spot in /health"
            )
            raise TransferStateError(
                f"the exchange may still execute the request of transfer {transfer_id} {how_long}"
            )
        command = ResolveTransfer(verdict, tran_id, note, self._clock.now_ms())
        result = await self._ledger.execute(transfer_id, command, actor)
        return result.transfer
