"""Request a transfer: once for each key, whoever asks, and however often."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.operations.operations_outbox import Detail
from chimera_s1.app.capabilities.treasury.transfer_admission import Admission
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import ChimeraError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.commands import RequestTransfer, terms_of
from chimera_s1.domain.treasury.events import TransferRejected, TransferRequested, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, Limits
from chimera_s1.domain.treasury.transfer import Phase, Transfer, TransferStatus

JOIN_MS = 3_000.0
"""How long an answer waits for the transfer to be over."""

PATIENCE_S = 10.0
"""How long a request takes at most, whatever the store does; longer than `JOIN_MS`."""


class KeyReusedError(ChimeraError):
    """The key belongs to a transfer that asks for something else; the text names what differs, not
    what was asked then.
    """

    code = "key_reused"


class TransferWish(Struct, frozen=True):
    """What a caller wants.

    Attributes:
        amount: USDT, as `money.usdt` makes it.

        reason: For the record; may be empty.
    """

    transfer_id: TransferId
    direction: Direction
    amount: Decimal
    reason: str


class Answer(Struct, frozen=True):
    """The transfer now.

    Attributes:
        replayed: It had been asked for before.
    """

    transfer: Transfer
    replayed: bool


class RequestTransfers:
    """Args:
    ledger: Where transfers are accepted.

    admission: Whether new ones are.

    clock: Time and waiting.

    limits: Those in force now; asked once for each request.

    mode: Which transfer of the exchange is used.

    tell: Takes an operational event, `LogOperations.record`.

    join_ms: How long an answer waits for the end.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        admission: Admission,
        *,
        clock: Clock,
        limits: Callable[[], Limits],
        mode: TreasuryMode,
        tell: Callable[[str, Detail], None],
        join_ms: float = JOIN_MS,
    ) -> None:
        self._ledger = ledger
        self._admission = admission
        self._clock = clock
        self._limits = limits
        self._mode = mode
        self._tell = tell
        self._join_ms = join_ms

    async def request(self, wish: TransferWish, actor: str) -> Answer:
        """Accept *wish*, unless it was before, and wait a little for the exchange's word.

        Raises:
            KeyReusedError: The key belongs to another wish.

            KillSwitchOnError, TreasuryDisabledError, StoppingError, ModeHaltedError: Not now; the
                key is as free as before.

            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It cannot be accepted now.
                It may have been, if the store did not say so; the same key tells.
        """
        rung = self._ledger.changes.rung
        with anyio.move_on_after(PATIENCE_S):
            answer = await self._accept(wish, actor)
            return await self._join(answer, rung)
        raise StoreUnavailableError(
            f"the ledger is busy, or its store slow: nothing came back within {PATIENCE_S:.0f} s"
        )

    async def _accept(self, wish: TransferWish, actor: str) -> Answer:
        known = await self._ledger.find(wish.transfer_id)
        if known is not None:
            return self._same(wish, actor, known, replayed=True)
        self._admission.check()
        terms = terms_of(
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
        return self._same(wish, actor, decided.transfer, replayed=not begun)

    def _same(
        self, wish: TransferWish, actor: str, transfer: Transfer, *, replayed: bool
    ) -> Answer:
        """*transfer* as the answer to *wish*, unless it was another wish."""
        differing = _differing(wish, transfer)
        if not differing:
            return Answer(transfer, replayed)
        told = {"transfer_id": wish.transfer_id, "actor": actor, "differing": ",".join(differing)}
        self._tell("treasury.key_reused", {**told})
        raise KeyReusedError(
            f"this key belongs to a transfer with another {' and another '.join(differing)}; "
            "use a new key for a new transfer"
        )

    async def _join(self, answer: Answer, rung: int) -> Answer:
        """*answer* as it is when the exchange has spoken, or after `join_ms`.

        An unknown outcome takes as long as it takes: the caller hears PENDING at once.
        """
        transfer = answer.transfer
        until_ms = self._clock.monotonic_ms() + self._join_ms
        while transfer.status is TransferStatus.PENDING and transfer.phase is not Phase.UNKNOWN:
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                break
            await self._ledger.changes.heard(
                self._clock, left_ms, after=rung, worth=partial(self._is_past, transfer)
            )
            rung = self._ledger.changes.rung
            transfer = await self._now(transfer)
        return Answer(transfer, answer.replayed)

    def _is_past(self, transfer: Transfer) -> bool:
        return self._ledger.open.find(transfer.transfer_id) != transfer

    async def _now(self, transfer: Transfer) -> Transfer:
        still_open = self._ledger.open.find(transfer.transfer_id)
        if still_open is not None:
            return still_open
        try:
            return await self._ledger.find(transfer.transfer_id) or transfer
        except (StoreUnavailableError, LedgerDamagedError):
            return transfer  # it was accepted, whatever has become of the store since


def _differing(wish: TransferWish, transfer: Transfer) -> list[str]:
    pairs = {
        "from": (wish.direction.source, transfer.direction.source),
        "to": (wish.direction.target, transfer.direction.target),
        "amount_usdt": (wish.amount, transfer.amount),
        "reason": (wish.reason, transfer.reason),
    }
    return [name for name, (wanted, stored) in pairs.items() if wanted != stored]
