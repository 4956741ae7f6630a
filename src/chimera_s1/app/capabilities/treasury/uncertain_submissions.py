"""Attempts that were not sent, because the store did not say that their start was written.

Should it be there all the same, the attempt looks as if it had been sent. It is told from another
executor's, or a later one of ours, by the commit alone: two requests that are signed for the same
attempt in the same millisecond are equal to the last byte, and one of them may have been sent.
"""

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.commands import RecordNotExecuted
from chimera_s1.domain.treasury.events import NotExecutedReason

COMMITS_KEPT_MAX = 8
"""Commits remembered of one attempt; they are meant for about the same place, and one
can have it.
"""


class _UncertainSubmission(Struct, frozen=True):
    """Attributes: commit_ids: Any of them may be in the ledger, or come to be there."""

    attempt: int
    commit_ids: tuple[str, ...]


class UncertainSubmissions:
    """Those of one executor."""

    def __init__(self, ledger: TreasuryLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._submissions: dict[TransferId, _UncertainSubmission] = {}

    def add(self, transfer_id: TransferId, attempt: int, commit_id: str) -> None:
        """*commit_id*, which begins *attempt*, may be written; nothing was sent."""
        before = self._submissions.get(transfer_id)
        same = before is not None and before.attempt == attempt
        kept = before.commit_ids if before is not None and same else ()
        self._submissions[transfer_id] = _UncertainSubmission(
            attempt, (*kept, commit_id)[-COMMITS_KEPT_MAX:]
        )

    async def retract(self, actor: str) -> None:
        """Write down of each one that turns out to be in the ledger that it was not sent.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Call again.
        """
        for transfer_id, unsent in tuple(self._submissions.items()):
            transfer = self._ledger.open_transfers.find(transfer_id)
            if transfer is not None and transfer.attempt < unsent.attempt:
                continue  # it is not there, but may be on its way
            if transfer is not None and await self._ledger.contains_commit(
                transfer_id, unsent.commit_ids
            ):
                now = self._clock.now_ms()
                cause = "the store's answer came too late to send it"
                command = RecordNotExecuted(
                    unsent.attempt, NotExecutedReason.NOT_SENT, cause, now, now
                )
                await self._ledger.execute(transfer_id, command, actor)
            self._submissions.pop(transfer_id, None)
