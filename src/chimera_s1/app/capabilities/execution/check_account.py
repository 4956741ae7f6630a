"""Read how the account is set up and what its key may do, and notice changes."""

import logging
from collections.abc import Callable, Iterable

from chimera_s1.app.capability import JobResult
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    OtherAccountError,
)
from chimera_s1.domain.execution.account_configuration import (
    AccountConfiguration,
    changes_between,
)
from chimera_s1.domain.execution.account_health import AccountHealthReport
from chimera_s1.domain.execution.tradfi_agreement import TradFiAgreement
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.exchange_account import ExchangeAccount
from chimera_s1.domain.ports.operations_log import EventDetail

UNSIGNED_RETRY_MS = 500.0
"""Nothing was sent: at the start the exchange's clock is measured first."""

SYMBOLS_MAX = 200

_log = logging.getLogger(__name__)


class CheckAccount:
    """Run by a job: at the start, once an hour, and when `changed` is notified.

    Args:
        symbols: Contracts whose margin type and leverage matter.
        record: Takes the kind and the details of an event of `ops:events`; must not raise.

    Attributes:
        configuration: As read last; None before.
        changed: The job's wake-up.
    """

    def __init__(
        self,
        account: ExchangeAccount,
        agreement: TradFiAgreement,
        *,
        venues: tuple[Venue, ...],
        symbols: Callable[[], Iterable[Symbol]],
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self._account = account
        self._agreement = agreement
        self._venues = venues
        self._symbols = symbols
        self._record = record
        self._refused = ""
        self._other_account = ""
        self._read_error = ""
        self._reported = ""
        self.configuration: AccountConfiguration | None = None
        self.changed = ChangeSignal()

    def account_changed(self, what: str) -> None:
        """A private stream says so: read it again soon."""
        _log.info("the account has changed (%s): it is read again", what)
        self.changed.notify()

    async def check(self) -> JobResult:
        """Read the account once.

        Raises:
            ExchangeUnavailableError: No reply; what was known stays.
        """
        symbols = tuple(sorted(set(self._symbols())))[:SYMBOLS_MAX]
        try:
            read = await self._account.configuration(symbols)
        except ClockUncertainError as error:
            return JobResult(str(error), UNSIGNED_RETRY_MS)
        except OtherAccountError as error:
            self._refused, self._other_account, self._read_error = "", str(error), ""
        except ExchangeRefusedError as error:
            self._refused, self._other_account, self._read_error = str(error), "", ""
        except ExchangeUnavailableError as error:
            self._read_error = str(error)
            raise
        else:
            self._refused = self._other_account = self._read_error = ""
            self._take(read)
        report = self.report()
        self._log_problem(report)
        return JobResult(report.sentence)

    def report(self) -> AccountHealthReport:
        return AccountHealthReport(
            venues=self._venues,
            configuration=self.configuration,
            refused=self._refused,
            read_error=self._read_error,
            agreement=self._agreement.refusal,
            other_account=self._other_account,
        )

    def _take(self, read: AccountConfiguration) -> None:
        before, self.configuration = self.configuration, read
        if before is None:
            return
        for change in changes_between(before, read):
            _log.warning(
                "the account has changed: %s was %s and is %s",
                change.what,
                change.before,
                change.after,
            )
            self._record(
                "execution.account_changed",
                {"what": change.what, "before": change.before, "after": change.after},
            )

    def _log_problem(self, report: AccountHealthReport) -> None:
        problem = report.sentence if report.level else ""
        if problem and problem != self._reported:
            _log.error("the account: %s", problem)
        self._reported = problem
