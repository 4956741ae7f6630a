"""Guard the exchange account: only one ledger may move its money.

Reads the claim at the start, every two seconds, and directly before each submission. A verdict
holds until another one is reached: an outage of Redis changes nothing.
"""

import logging
from collections.abc import Callable
from typing import assert_never

import anyio
from msgspec.structs import asdict

from chimera_s1.app.capabilities.treasury.account_evidence import GatherAccountEvidence
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.app.capability import JobResult
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
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.account_reader import AccountReader
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.treasury.account_claim import (
    AccountEvidence,
    AccountVerdict,
    NextStep,
    OfOtherAccount,
    Own,
    ReadMovements,
    Unchecked,
    WriteClaim,
    judge,
)

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
    record_event: Records an operational event.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        evidence: GatherAccountEvidence,
        reader: AccountReader,
        *,
        environment: str,
        clock: Clock,
        record_event: Callable[[str, EventDetail], None],
    ) -> None:
        self._ledger = ledger
        self._evidence = evidence
        self._reader = reader
        self._environment = environment
        self._clock = clock
        self._record_event = record_event
        self.verdict: AccountVerdict = Unchecked()
        self._check_error = ""
        self._checks_begun = 0
        self._check_ended = 0
        """The number of the last check that ended; checks are numbered in the order they begin."""
        self._account = ""
        self._installation = ""
        self._account_error = ""
        self._account_due_ms = 0.0
        self._keys_replaced = 0
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

    async def histories_problem(self) -> str:
        """Why the exchange's histories say nothing about this ledger's transfers: they may be those
        of another account. Empty if they do.
        """
        if not self._account:
            return "the exchange has not named the account of the key"
        ledger_account = await self._evidence.ledger_account()
        if ledger_account == self._account:
            return ""
        if ledger_account:
            return OfOtherAccount(self._account, ledger_account).reason_to_hold
        return self.reason_to_hold()

    async def expected_account(self) -> str:
        """The account that a new key must belong to, like `live:354937868`: the ledger's, and
        before its first transfer that of the key in use; empty while neither is known.
        """
        return await self._evidence.ledger_account() or self._account

    def key_replaced(self, account: str) -> None:
        """The key in use is another one, of *account*."""
        self._account = account
        self._keys_replaced += 1

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

    async def read_account(self) -> JobResult:
        """Read again which account the key belongs to, once the first check has. Nothing waits for
        it: a slow exchange delays no check.
        """
        if not self._account:
            return JobResult("the first check has not read it yet", ACCOUNT_RETRY_MS)
        wait_ms = self._account_due_ms - self._clock.monotonic_ms()
        if wait_ms > 0:
            return JobResult(f"the key belongs to {self._account}", wait_ms)
        try:
            self._account = await self._account_of_key()
        except _EXCHANGE_ERRORS as error:
            self._account_error = f"the account of the exchange key: {error}"
            return JobResult(self._account_error, ACCOUNT_RETRY_MS)
        self._account_error = ""
        return JobResult(f"the key belongs to {self._account}", ACCOUNT_INTERVAL_MS)

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
        before = self._keys_replaced
        account = f"{self._environment}:{await self._reader.account_uid()}"
        if self._keys_replaced != before:
            return self._account  # asked with a key that is not in use any more
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
            evidence = await self._evidence.read(account)
            self._installation = evidence.installation
            result = judge(evidence, self.verdict)
            if isinstance(result, Own):
                result = judge(await self._evidence.record_own(evidence), self.verdict)
            if not isinstance(result, NextStep):
                return result
            await self._take(result, evidence)
        raise PublisherUnavailableError("the claim on the exchange account keeps changing")

    async def _take(self, step: NextStep, evidence: AccountEvidence) -> None:
        match step:
            case ReadMovements():
                await self._evidence.read_movements()
            case WriteClaim():
                await self._evidence.claim(evidence)
            case _:
                assert_never(step)

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
                self._installation,
            )
        detail = {name: str(value) for name, value in asdict(verdict).items()}
        self._record_event("treasury.account", {"verdict": type(verdict).__name__, **detail})
