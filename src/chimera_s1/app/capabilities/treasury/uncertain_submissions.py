"""Attempts that were not sent because the append of their start event is uncertain.

If the start event is in the ledger after all, the attempt looks as if it had been sent. Only the
commit id tells it from an attempt of another executor, or from a later one of this instance: two
requests signed for one attempt in the same millisecond are identical, and one may have been sent.
"""

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.commands import RecordNotExecuted
from chimera_s1.domain.treasury.events import NotExecutedReason

COMMITS_KEPT_MAX = 8
"""Commits remembered of one attempt; they compete for a few sequence numbers, one can win."""


class _UncertainSubmission(Struct, frozen=True):
    attempt: int
    commit_ids: tuple[str, ...]


class UncertainSubmissions:
    def __init__(self, ledger: TreasuryLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._submissions: dict[TransferId, _UncertainSubmission] = {}

    def add(self, transfer_id: TransferId, attempt: int, commit_id: str) -> None:
        """Remember that *commit_id*, which starts *attempt*, may be written; nothing was sent."""
        before = self._submissions.get(transfer_id)
        same = before is not None and before.attempt == attempt
        kept = before.commit_ids if before is not None and same else ()
        self._submissions[transfer_id] = _UncertainSubmission(
            attempt, (*kept, commit_id)[-COMMITS_KEPT_MAX:]
        )

    async def retract(self, actor: str) -> None:
        """Record each attempt whose start event is in the ledger as not sent.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Call again.
        """
        for transfer_id, submission in tuple(self._submissions.items()):
            transfer = self._ledger.open_transfers.find(transfer_id)
            if transfer is not None and transfer.attempt < submission.attempt:
                continue  # not written, but the append may still arrive
            if transfer is not None and await self._ledger.contains_commit(
                transfer_id, submission.commit_ids
            ):
                now = self._clock.now_ms()
                cause = "not sent: the store confirmed the start too late"
                command = RecordNotExecuted(
                    submission.attempt, NotExecutedReason.NOT_SENT, cause, now, now
                )
                await self._ledger.execute(transfer_id, command, actor)
            self._submissions.pop(transfer_id, None)
