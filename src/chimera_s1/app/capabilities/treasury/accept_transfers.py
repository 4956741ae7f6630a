"""Request a transfer: once for each key, whoever asks, and however often."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.treasury.transfer_admission import SpendingAdmission
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
"""How long an answer waits for the transfer to be over."""

REQUEST_TIMEOUT_S = 10.0
"""How long a request takes at most, whatever the store does; longer than `JOIN_MS`."""


class KeyReusedError(ChimeraError):
    """The key belongs to a transfer that asks for something else; the text names what differs, not
    what was asked then.
    """

    code = "key_reused"


class TransferRequest(Struct, frozen=True):
    """What a caller wants.

    Attributes:
        amount: USDT, as `money.usdt` makes it.

        reason: For the record; may be empty.
    """

    transfer_id: TransferId
    direction: Direction
    amount: Decimal
    reason: str


class TransferOutcome(Struct, frozen=True):
    """The transfer now.

    Attributes:
        replayed: It had been asked for before.
    """

    transfer: Transfer
    replayed: bool


class AcceptTransfers:
    """Args:
    ledger: Where transfers are accepted.

    admission: Whether new ones are.

    clock: Time and waiting.

    limits: Those in force now; asked once for each request.

    mode: Which transfer of the exchange is used.

    record_event: Takes an operational event, `OperationsOutbox.record`.

    result_wait_ms: How long an answer waits for the end.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        admission: SpendingAdmission,
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
        self._tell = record_event
        self._join_ms = result_wait_ms

    async def accept(self, request: TransferRequest, actor: str) -> TransferOutcome:
        """Accept *request*, unless it was before, and wait a little for the exchange's word.

        Raises:
            KeyReusedError: The key belongs to another wish.

            KillSwitchOnError, TreasuryDisabledError, StoppingError, ModeHaltedError: Not now; the
                key is as free as before.

            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It cannot be accepted now.
                It may have been, if the store did not say so; the same key tells.
        """
        rung = self._ledger.changes.version
        with anyio.move_on_after(REQUEST_TIMEOUT_S):
            answer = await self._accept(request, actor)
            return await self._wait_for_result(answer, rung)
        raise StoreUnavailableError(
            f"the ledger is busy, or its store slow: nothing came back within "
            f"{REQUEST_TIMEOUT_S:.0f} s"
        )

    async def _accept(self, wish: TransferRequest, actor: str) -> TransferOutcome:
        known = await self._ledger.find(wish.transfer_id)
        if known is not None:
            return self._outcome_or_reused(wish, actor, known, replayed=True)
        self._admission.check()
        terms = make_terms(
            wish.direction,
            wish.amount,
            wish.reason,
            mode=self._mode,
            limits=self._limits(),
            at=self._clock.now_ms(),
        )
        decided = await self._ledger.execute(
            wish.transfer_id, RequestTransfer(wish.transfer_id, terms), actor
        )
        begun = any(isinstance(e, TransferRequested | TransferRejected) for e in decided.events)
        return self._outcome_or_reused(wish, actor, decided.transfer, replayed=not begun)

    def _outcome_or_reused(
        self, wish: TransferRequest, actor: str, transfer: Transfer, *, replayed: bool
    ) -> TransferOutcome:
        """*transfer* as the answer to *wish*, unless it was another wish."""
        differing = _differing(wish, transfer)
        if not differing:
            return TransferOutcome(transfer, replayed)
        told = {"transfer_id": wish.transfer_id, "actor": actor, "differing": ",".join(differing)}
        self._tell("treasury.key_reused", {**told})
        raise KeyReusedError(
            f"this key belongs to a transfer with another {' and another '.join(differing)}; "
            "use a new key for a new transfer"
        )

    async def _wait_for_result(self, answer: TransferOutcome, rung: int) -> TransferOutcome:
        """*answer* as it is when the exchange has spoken, or after `join_ms`.

        An unknown outcome takes as long as it takes: the caller hears PENDING at once.
        """
        transfer = answer.transfer
        until_ms = self._clock.monotonic_ms() + self._join_ms
        while transfer.status is TransferStatus.PENDING and transfer.phase is not Phase.UNKNOWN:
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                break
            await self._ledger.changes.wait_after(
                self._clock, left_ms, version=rung, relevant=partial(self._has_changed, transfer)
            )
            rung = self._ledger.changes.version
            transfer = await self._current(transfer)
        return TransferOutcome(transfer, answer.replayed)

    def _has_changed(self, transfer: Transfer) -> bool:
        return self._ledger.open_transfers.find(transfer.transfer_id) != transfer

    async def _current(self, transfer: Transfer) -> Transfer:
        still_open = self._ledger.open_transfers.find(transfer.transfer_id)
        if still_open is not None:
            return still_open
        try:
            return await self._ledger.find(transfer.transfer_id) or transfer
        except (StoreUnavailableError, LedgerDamagedError):
            return transfer  # it was accepted, whatever has become of the store since


def _differing(wish: TransferRequest, transfer: Transfer) -> list[str]:
    pairs = {
        "from": (wish.direction.source, transfer.direction.source),
        "to": (wish.direction.target, transfer.direction.target),
        "amount_usdt": (wish.amount, transfer.amount),
        "reason": (wish.reason, transfer.reason),
    }
    return [name for name, (wanted, stored) in pairs.items() if wanted != stored]
