"""Guard the exchange account: only one ledger may move its money.

Reads the claim at the start, every two seconds, and directly before each submission. A verdict
holds until another one is reached: an outage of Redis changes nothing.
"""

import logging
from collections.abc import Callable, Sequence
from typing import assert_never

import anyio
from msgspec.structs import asdict, replace

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import (
    ChimeraError,
    ClockUncertainError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    LedgerDamagedError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.account_claims import AccountClaims
from chimera_s1.domain.ports.account_reader import AccountReader
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.installation_store import InstallationFact, InstallationStore
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.treasury_gateway import TreasuryGateway
from chimera_s1.domain.treasury.account_claim import (
    UNEXPLAINED_SPAN_MS,
    AccountClaim,
    AccountEvidence,
    AccountVerdict,
    NextStep,
    Own,
    ReadMovements,
    Unchecked,
    WriteClaim,
    judge,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement

CHECK_INTERVAL_MS = 2_000.0
ACCOUNT_INTERVAL_MS = 3_600_000.0
"""Between reads of the key's account; a key may be replaced by one of another account."""

ACCOUNT_RETRY_MS = 60_000.0

CONFIRM_TIMEOUT_S = 0.5
"""Of the check before a submission; after it the last verdict holds."""

FIRST_CHECK_WAIT_S = 3.0
"""How long a request waits for the end of the first check."""

CLOCK_WAIT_MS, CLOCK_WAITS_MAX = 50.0, 40
"""At a start, nothing can be signed before the first sample of the exchange's clock."""

RETRIES = Backoff(base_ms=500, max_wait_ms=30_000, jitter_ms=0)
_STEPS_MAX = 4

MOVEMENTS_INTERVAL_MS = 60_000.0
"""Between reads of the account's movements, while they forbid the claim."""

_LEDGER_ERRORS = (LedgerDamagedError, StoreUnavailableError)
_EXCHANGE_ERRORS = (ExchangeRefusedError, ExchangeUnavailableError)
_ERRORS = (
    ConfigurationError,
    *_EXCHANGE_ERRORS,
    PublisherUnavailableError,
    *_LEDGER_ERRORS,
)

_log = logging.getLogger(__name__)


class GuardAccount:
    """Args:
    reader: Reads which account the exchange key belongs to.
    environment: Of the account, for its name: `live`.
    exchange_ms: The exchange's clock, epoch ms.
    new_id: Makes an installation id.
    record_event: Records an operational event.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        gateway: TreasuryGateway,
        reader: AccountReader,
        claims: AccountClaims,
        installation: InstallationStore,
        *,
        environment: str,
        clock: Clock,
        exchange_ms: Callable[[], float],
        new_id: Callable[[], str],
        record_event: Callable[[str, EventDetail], None],
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._reader = reader
        self._claims = claims
        self._installation = installation
        self._environment = environment
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._new_id = new_id
        self._record_event = record_event
        self.verdict: AccountVerdict = Unchecked()
        self._check_error = ""
        self._checks_begun = 0
        self._check_ended = 0
        """The number of the last check that ended; checks are numbered in the order they begin."""
        self._account = ""
        self._account_error = ""
        self._account_due_ms = 0.0
        self._facts: dict[InstallationFact, str] = {}
        self._movements: Sequence[Movement] | None = None
        self._movements_due_ms = 0.0
        self._verified_head: LedgerHead | None = None
        self._exchange_failures = 0
        self._clock_waits = 0
        self._first_check = anyio.Event()
        self._lock = anyio.Lock()

    @property
    def last_error(self) -> str:
        """Why the verdict, or the key's account, may be an old one; empty if it is not."""
        return self._check_error or self._account_error

    def reason_to_hold(self) -> str:
        """Why nothing may be accepted or sent now; empty if it may."""
        return self.verdict.reason_to_hold

    async def wait_for_first_check(self) -> None:
        """Wait until the first check has ended, at most for FIRST_CHECK_WAIT_S."""
        with anyio.move_on_after(FIRST_CHECK_WAIT_S):
            await self._first_check.wait()

    async def check(self) -> float:
        """Check once, and claim the account if nothing forbids it; returns the wait until the next
        check, ms.
        """
        if not self._account:
            await self._read_first_account()
        if self._account:
            async with self._lock:
                await self._check()
        if self.verdict != Unchecked():
            self._first_check.set()
        if 0 < self._clock_waits <= CLOCK_WAITS_MAX:
            return CLOCK_WAIT_MS
        if self._exchange_failures:
            return RETRIES.wait_ms(self._exchange_failures - 1, 0.0)
        return RETRIES.base_ms if self._check_error else CHECK_INTERVAL_MS

    async def confirm(self) -> None:
        """Check again, directly before a submission, or join a check that began after this call.
        While the claim cannot be read, the last verdict holds; the regular check finds out when
        it can be read again.
        """
        if isinstance(self.verdict, Own) and not self._check_error:
            begun_before = self._checks_begun
            with anyio.move_on_after(CONFIRM_TIMEOUT_S):
                async with self._lock:
                    if self._check_ended <= begun_before:
                        await self._check()

    async def read_account(self) -> float:
        """Read again which account the key belongs to, once the first check has; returns the wait
        until the next read, ms. Nothing waits for it: a slow exchange delays no check.
        """
        if not self._account:
            return ACCOUNT_RETRY_MS
        wait_ms = self._account_due_ms - self._clock.monotonic_ms()
        if wait_ms > 0:
            return wait_ms
        try:
            self._account = await self._account_of_key()
        except _EXCHANGE_ERRORS as error:
            self._account_error = f"the account of the exchange key: {error}"
            return ACCOUNT_RETRY_MS
        self._account_error = ""
        return ACCOUNT_INTERVAL_MS

    async def _read_first_account(self) -> None:
        try:
            self._account = await self._account_of_key()
        except _EXCHANGE_ERRORS as error:
            # Without a clock, nothing was sent.
            self._exchange_failures += not isinstance(error, ClockUncertainError)
            self._record_error(error)
        else:
            self._exchange_failures = 0

    async def _account_of_key(self) -> str:
        account = f"{self._environment}:{await self._reader.account_uid()}"
        self._account_due_ms = self._clock.monotonic_ms() + ACCOUNT_INTERVAL_MS
        return account

    async def _check(self) -> None:
        self._checks_begun += 1
        number = self._checks_begun
        try:
            verdict = await self._reach_verdict(self._account)
        except _ERRORS as error:
            self._record_error(error)
        else:
            self._check_error = ""
            self._clock_waits = 0
            self._change_verdict(verdict)
        self._check_ended = number

    def _record_error(self, error: ChimeraError) -> None:
        self._check_error = str(error)
        self._clock_waits += isinstance(error, ClockUncertainError)
        starting = 0 < self._clock_waits <= CLOCK_WAITS_MAX
        # A recorded head that the ledger's store cannot be compared with may be a copy's.
        unproven = isinstance(self.verdict, Own) and isinstance(error, _LEDGER_ERRORS)
        if unproven or (isinstance(self.verdict, Unchecked) and not starting):
            self._change_verdict(Unchecked(self._check_error))

    async def _reach_verdict(self, account: str) -> AccountVerdict:
        if not self._ledger.head.seq:
            await self._ledger.catch_up()
        for _ in range(_STEPS_MAX):
            evidence = await self._read_evidence(account)
            result = judge(evidence, self.verdict)
            if isinstance(result, Own):
                result = judge(await self._record_own(evidence), self.verdict)
            if not isinstance(result, NextStep):
                return result
            await self._take(result, evidence)
        raise PublisherUnavailableError("the claim on the exchange account keeps changing")

    async def _take(self, step: NextStep, evidence: AccountEvidence) -> None:
        match step:
            case ReadMovements():
                self._movements = await self._read_unexplained_movements()
                self._movements_due_ms = self._clock.monotonic_ms() + MOVEMENTS_INTERVAL_MS
            case WriteClaim():
                claim = AccountClaim(
                    installation=evidence.installation, taken_at=self._clock.now_ms()
                )
                await self._claims.claim(evidence.account, claim)
            case _:
                assert_never(step)

    async def _read_evidence(self, account: str) -> AccountEvidence:
        installation = await self._recorded(InstallationFact.ID, self._new_id())
        has_commits = self._ledger.head.seq > 0
        reached = await self._claims.reached(account, installation)
        if self._clock.monotonic_ms() >= self._movements_due_ms:
            self._movements = None
        return AccountEvidence(
            account=account,
            installation=installation,
            ledger_account=await self._recorded(InstallationFact.ACCOUNT),
            may_start=has_commits or bool(await self._recorded(InstallationFact.START)),
            claim=await self._claims.read(account),
            reached=reached,
            hash_there="" if reached is None else await self._hash_at(reached),
            movements=self._movements,
        )

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

    async def _read_unexplained_movements(self) -> tuple[Movement, ...]:
        """Those that the ledger does not know; what it has only observed, another one may know."""
        now_ms = round(self._exchange_ms())
        confirmed_ms = int(await self._recorded(InstallationFact.CONFIRMED) or 0)
        window = ExecutionWindow(max(now_ms - UNEXPLAINED_SPAN_MS, confirmed_ms + 1), now_ms)
        found = [await self._gateway.read_movements(each, window) for each in Direction]
        return tuple(
            [
                movement
                for movements in found
                for movement in movements
                if await self._ledger.movement_owner(movement.tran_id) is None
            ]
        )

    async def _record_own(self, evidence: AccountEvidence) -> AccountEvidence:
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

    def _change_verdict(self, verdict: AccountVerdict) -> None:
        before, self.verdict = self.verdict, verdict
        if verdict == before:
            return
        if verdict.reason_to_hold:
            _log.error("treasury: %s", verdict.reason_to_hold)
        else:
            _log.info(
                "treasury: account %s is claimed by this installation, %s",
                self._account,
                self._facts[InstallationFact.ID],
            )
        detail = {name: str(value) for name, value in asdict(verdict).items()}
        self._record_event("treasury.account", {"verdict": type(verdict).__name__, **detail})
