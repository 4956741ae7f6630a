"""Gather what a verdict on the exchange account is made of, and record what later ones need."""

from collections.abc import Callable, Sequence
from itertools import islice

from msgspec.structs import replace

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.ports.account_claims import AccountClaims
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.installation_store import InstallationFact, InstallationStore
from chimera_s1.domain.ports.treasury_gateway import HistoryIncompleteError, TreasuryGateway
from chimera_s1.domain.treasury.account_claim import (
    UNEXPLAINED_SPAN_MS,
    AccountClaim,
    AccountEvidence,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement

MOVEMENTS_INTERVAL_MS = 60_000.0
"""Between reads of the account's movements, while they forbid the claim."""

HISTORY_LAG_MS = 3_600_000
"""Transfers of the last hour are not compared: they may not be in the account's history yet."""

COMPARED_MAX = 20
"""Transfers that are compared, the newest ones; one of them suffices."""

_STEPS_MAX = 4


class GatherAccountEvidence:
    """Reads the claim, the installation's facts, the ledger and the account's history."""

    def __init__(
        self,
        ledger: TreasuryLedger,
        gateway: TreasuryGateway,
        claims: AccountClaims,
        installation: InstallationStore,
        *,
        clock: Clock,
        exchange_ms: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        """Args:
        exchange_ms: The exchange's clock, epoch ms.
        new_id: Makes an installation id.
        """
        self._ledger = ledger
        self._gateway = gateway
        self._claims = claims
        self._installation = installation
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._new_id = new_id
        self._facts: dict[InstallationFact, str] = {}
        self._movements: Sequence[Movement] | None = None
        self._movements_due_ms = 0.0
        self._history_problem = ""
        self._absent = 0
        self._account = ""
        self._verified_head: LedgerHead | None = None

    async def read(self, account: str) -> AccountEvidence:
        installation = await self._recorded(InstallationFact.ID, self._new_id())
        has_commits = self._ledger.head.seq > 0
        reached = await self._claims.reached(account, installation)
        if self._clock.monotonic_ms() >= self._movements_due_ms or account != self._account:
            self._movements = None
        self._account = account
        return AccountEvidence(
            account=account,
            installation=installation,
            ledger_account=await self.ledger_account(),
            may_start=has_commits or bool(await self._recorded(InstallationFact.START)),
            claim=await self._claims.read(account),
            reached=reached,
            hash_there="" if reached is None else await self._hash_at(reached),
            movements=self._movements,
            history_problem=self._history_problem,
            absent=self._absent,
        )

    async def ledger_account(self) -> str:
        """The account this ledger belongs to; empty before its first transfer."""
        return await self._recorded(InstallationFact.ACCOUNT)

    async def record_own(self, evidence: AccountEvidence) -> AccountEvidence:
        """Record what later verdicts need; the evidence as it is now."""
        await self._record_start(evidence)
        head, reached = self._ledger.head, evidence.reached
        if not head.seq:
            return evidence
        ledger_account = await self._recorded(InstallationFact.ACCOUNT, evidence.account)
        if reached is None or reached.seq < head.seq:
            reached = await self._record_head(evidence, head)
        hash_there = await self._hash_at(reached)
        if hash_there == reached.hash:
            self._verified_head = reached
        return replace(
            evidence, ledger_account=ledger_account, reached=reached, hash_there=hash_there
        )

    async def claim(self, evidence: AccountEvidence) -> None:
        """Write the claim if there is still none."""
        claim = AccountClaim(installation=evidence.installation, taken_at=self._clock.now_ms())
        await self._claims.claim(evidence.account, claim)

    async def read_movements(self) -> None:
        """Read the account's movements for the next evidence."""
        self._history_problem = ""
        history = await self._read_history()
        owners = [await self._ledger.movement_owner(each.tran_id) for each in history]
        explained = any(owners) or self._history_problem
        self._absent = 0 if explained else await self._count_recent_movements()
        confirmed_ms = int(await self._recorded(InstallationFact.CONFIRMED) or 0)
        self._movements = tuple(
            movement
            for movement, owner in zip(history, owners, strict=True)
            if owner is None and movement.moved_at > confirmed_ms
        )
        self._movements_due_ms = self._clock.monotonic_ms() + MOVEMENTS_INTERVAL_MS

    async def _read_history(self) -> tuple[Movement, ...]:
        now_ms = round(self._exchange_ms())
        window = ExecutionWindow(now_ms - UNEXPLAINED_SPAN_MS, now_ms)
        found = [await self._read_direction(each, window) for each in Direction]
        return tuple(movement for movements in found for movement in movements)

    async def _count_recent_movements(self) -> int:
        """Of this ledger, old enough to be in the account's history and not too old for the read.
        What it has only observed as foreign is not its own.
        """
        now_ms = self._exchange_ms()
        oldest_ms, newest_ms = (
            now_ms - UNEXPLAINED_SPAN_MS + HISTORY_LAG_MS,
            now_ms - HISTORY_LAG_MS,
        )
        recent = reversed(tuple(self._ledger.open_transfers.recent_movements.values()))
        owners = islice(filter(None, recent), COMPARED_MAX)
        transfers = [await self._ledger.find(owner) for owner in owners]
        return sum(
            transfer is not None and oldest_ms < transfer.signed_at < newest_ms
            for transfer in transfers
        )

    async def _read_direction(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        try:
            return await self._gateway.read_movements(direction, window)
        except HistoryIncompleteError as error:
            self._history_problem = str(error)
            return error.usable

    async def _record_head(self, evidence: AccountEvidence, head: LedgerHead) -> LedgerHead:
        """Record *head*; the head that is recorded now. Only a head that this ledger contains is
        replaced: that of a copy stays, as the proof for every later check.
        """
        reached = evidence.reached
        for _ in range(_STEPS_MAX):
            if reached is not None and (
                reached.seq >= head.seq or await self._hash_at(reached) != reached.hash
            ):
                return reached
            before = await self._claims.record_reached(
                evidence.account, evidence.installation, head, after=reached
            )
            if before == reached:
                return head
            reached = before
        raise PublisherUnavailableError("the recorded head of the ledger keeps changing")

    async def _record_start(self, evidence: AccountEvidence) -> None:
        cause, claim = "no movements in the last 7 days", evidence.claim
        if claim is not None and claim.by_operator:
            cause = "taken by an operator"
            confirmed_ms = claim.taken_at or self._clock.now_ms()
            await self._recorded(InstallationFact.CONFIRMED, f"{confirmed_ms}")
        if not evidence.may_start:
            await self._recorded(InstallationFact.START, cause)

    async def _recorded(self, fact: InstallationFact, value: str = "") -> str:
        """The fact as recorded; *value* is recorded if there is none. Facts never change."""
        if not self._facts.get(fact):
            self._facts[fact] = await (
                self._installation.record(fact, value) if value else self._installation.find(fact)
            )
        return self._facts[fact]

    async def _hash_at(self, reached: LedgerHead) -> str:
        if reached in {self._verified_head, self._ledger.head}:
            return reached.hash
        return await self._ledger.hash_at(reached.seq)
