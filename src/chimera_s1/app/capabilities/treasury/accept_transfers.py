"""Accept transfer requests: each key once, however often it is sent."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.treasury.transfer_admission import TransferAdmission
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import ChimeraError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.treasury.commands import RequestTransfer, make_terms
from chimera_s1.domain.treasury.events import TransferRejected, TransferRequested, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, TransferLimits
from chimera_s1.domain.treasury.transfer import Phase, Transfer, TransferStatus

RESULT_WAIT_MS = 3_000.0
"""How long a request waits for the transfer's outcome."""

REQUEST_TIMEOUT_S = 10.0
"""Limit of one request, even if the store hangs; longer than `RESULT_WAIT_MS`."""


class KeyReusedError(ChimeraError):
    """The key was used for a different transfer; the text names the differing fields only."""

    code = "key_reused"


class TransferRequest(Struct, frozen=True):
    """Attributes:
    amount: USDT, as `money.usdt` parses it.
    reason: For the record; may be empty.
    """

    transfer_id: TransferId
    direction: Direction
    amount: Decimal
    reason: str


class TransferOutcome(Struct, frozen=True):
    """The transfer now; *replayed* where the key had been used before."""

    transfer: Transfer
    replayed: bool


class AcceptTransfers:
    """Args:
    limits: In force now; read once for each request.
    record_event: Records an operational event.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        admission: TransferAdmission,
        *,
        clock: Clock,
        limits: Callable[[], TransferLimits],
        mode: TreasuryMode,
        record_event: Callable[[str, EventDetail], None],
        result_wait_ms: float = RESULT_WAIT_MS,
    ) -> None:
        self._ledger = ledger
        self._admission = admission
        self._clock = clock
        self._limits = limits
        self._mode = mode
        self._record_event = record_event
        self._result_wait_ms = result_wait_ms

    async def accept(self, request: TransferRequest, actor: str) -> TransferOutcome:
        """Accept *request* once, and wait for the outcome for `RESULT_WAIT_MS`.

        Raises:
            KeyReusedError: The key was used for a different transfer.
            KillSwitchOnError, ModeHaltedError, ModeUnknownError, TreasuryDisabledError,
                ServiceStoppingError, AccountNotClaimedError, ExchangeMaintenanceError: Not
                accepted; the key stays unused.
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Acceptance is unknown;
                retry with the same key.
        """
        version = self._ledger.changes.version
        with anyio.move_on_after(REQUEST_TIMEOUT_S):
            outcome = await self._accept(request, actor)
            return await self._wait_for_result(outcome, version)
        raise StoreUnavailableError(
            f"ledger store timeout after {REQUEST_TIMEOUT_S:.0f} s; retry with the same key"
        )

    async def _accept(self, request: TransferRequest, actor: str) -> TransferOutcome:
        known = await self._ledger.find(request.transfer_id)
        if known is not None:
            return self._outcome_or_reused(request, actor, known, replayed=True)
        await self._admission.check()
        terms = make_terms(
            request.direction,
            request.amount,
            request.reason,
            mode=self._mode,
            limits=self._limits(),
            at=self._clock.now_ms(),
        )
        result = await self._ledger.execute(
            request.transfer_id, RequestTransfer(request.transfer_id, terms), actor
        )
        created = any(isinstance(e, TransferRequested | TransferRejected) for e in result.events)
        return self._outcome_or_reused(request, actor, result.transfer, replayed=not created)

    def _outcome_or_reused(
        self, request: TransferRequest, actor: str, transfer: Transfer, *, replayed: bool
    ) -> TransferOutcome:
        differing = _differing(request, transfer)
        if not differing:
            return TransferOutcome(transfer, replayed)
        self._record_event(
            "treasury.key_reused",
            {
                "transfer_id": request.transfer_id,
                "actor": actor,
                "differing": ",".join(differing),
            },
        )
        raise KeyReusedError(
            f"this key was used for a transfer with a different {', '.join(differing)}; "
            "check that one before you use a new key"
        )

    async def _wait_for_result(self, outcome: TransferOutcome, version: int) -> TransferOutcome:
        """*outcome* once it is final or UNKNOWN, which can last for minutes, or after the wait."""
        transfer = outcome.transfer
        until_ms = self._clock.monotonic_ms() + self._result_wait_ms
        while transfer.status is TransferStatus.PENDING and transfer.phase is not Phase.UNKNOWN:
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                break
            await self._ledger.changes.wait_after(
                self._clock, left_ms, version=version, relevant=partial(self._has_changed, transfer)
            )
            version = self._ledger.changes.version
            transfer = await self._current(transfer)
        return TransferOutcome(transfer, outcome.replayed)

    def _has_changed(self, transfer: Transfer) -> bool:
        return self._ledger.open_transfers.find(transfer.transfer_id) != transfer

    async def _current(self, transfer: Transfer) -> Transfer:
        still_open = self._ledger.open_transfers.find(transfer.transfer_id)
        if still_open is not None:
            return still_open
        try:
            return await self._ledger.find(transfer.transfer_id) or transfer
        except (StoreUnavailableError, LedgerDamagedError):
            return transfer  # it was accepted before the store failed


def _differing(request: TransferRequest, transfer: Transfer) -> list[str]:
    pairs = {
        "from": (request.direction.source, transfer.direction.source),
        "to": (request.direction.target, transfer.direction.target),
        "amount_usdt": (request.amount, transfer.amount),
        "reason": (request.reason, transfer.reason),
    }
    return [name for name, (wanted, stored) in pairs.items() if wanted != stored]
