"""The check of the account: how it is set up, and what its key may do."""

from collections.abc import Sequence

from msgspec.structs import replace

from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.orders.account import BinanceExchangeAccount
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.execution.wiring import execution_enabled
from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult
from chimera_s1.app.container import named_symbols
from chimera_s1.app.foundation import ExchangeLimits, endpoints_for, exchange_key
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.account_configuration import (
    AccountConfiguration,
    SymbolConfiguration,
)
from chimera_s1.domain.execution.account_health import AccountHealthReport
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.health import Level

CONTRACTS_SHOWN = 20

_NAME = "account"
_KEY = "check the key at the exchange: its permissions and its allowed IP addresses"
_GRADES = {Level.GREEN: CheckGrade.OK, Level.YELLOW: CheckGrade.WARN}


async def check_account(settings: Settings, limits: ExchangeLimits) -> list[CheckResult]:
    """Modes and permissions, then margin type and leverage of the contracts that `S1_SYMBOLS`
    names; without a key, one result that says so.
    """
    if not execution_enabled(settings):
        detail = "not read, and no order is followed: S1_BINANCE_KEY is not set"
        return [CheckResult(_NAME, CheckGrade.OK, detail)]
    contracts = named_symbols(settings)[Venue.PERP]
    try:
        read = await _configuration(settings, limits, contracts)
    except ChimeraError as error:
        return [CheckResult(_NAME, CheckGrade.FAIL, str(error), _KEY)]
    results = [_modes(settings.venues, read)]
    return [*results, _contracts(read.symbols)] if read.symbols else results


async def _configuration(
    settings: Settings, limits: ExchangeLimits, contracts: tuple[Symbol, ...]
) -> AccountConfiguration:
    clock = SystemClock()

    def exchange_ms(_: Venue) -> float:
        return float(clock.now_ms())

    def named_by() -> Venue:
        return Venue.SPOT if Venue.SPOT in settings.venues else Venue.PERP

    endpoints = endpoints_for(settings, tuple(Venue))
    async with (
        HttpClient(endpoints, limits.budgets) as key_client,
        HttpClient(endpoints, limits.budgets) as client,
    ):
        key = exchange_key(settings, key_client, exchange_ms, named_by)
        account = BinanceExchangeAccount(client, key, exchange_ms, venues=settings.venues)
        return await account.configuration(contracts)


def _modes(venues: tuple[Venue, ...], read: AccountConfiguration) -> CheckResult:
    report = AccountHealthReport(
        venues=venues,
        configuration=replace(read, symbols=()),
        refused="",
        read_error="",
        agreement="",
    )
    grade = _GRADES.get(report.level, CheckGrade.FAIL)
    return CheckResult(_NAME, grade, report.sentence, "" if grade is CheckGrade.OK else _KEY)


def _contracts(rows: Sequence[SymbolConfiguration]) -> CheckResult:
    shown = [f"{row.symbol} {row.margin_type} x{row.leverage}" for row in rows[:CONTRACTS_SHOWN]]
    if len(rows) > CONTRACTS_SHOWN:
        shown.append(f"and {len(rows) - CONTRACTS_SHOWN} more")
    return CheckResult("contracts", CheckGrade.OK, ", ".join(shown))
