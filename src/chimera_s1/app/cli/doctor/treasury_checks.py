"""Checks of the treasury: the ledger, the exchange key and the exchange's status."""

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.treasury.executor_wiring import BinanceGateway
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.capabilities.treasury.wiring import build_gateway, treasury_enabled
from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult, run_check
from chimera_s1.app.foundation import ExchangeLimits
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import open_stores, sqlite_path

_LEDGER = "see the runbook, and chimera-s1 ledger verify"
_STATUS = "check the exchange's status page; transfers are sent meanwhile"
_KEY = "check the key at the exchange: its permissions and its allowed IP addresses"


async def check_treasury(settings: Settings, limits: ExchangeLimits) -> list[CheckResult]:
    """Ledger, key and status; without a key, one result that says so."""
    if not treasury_enabled(settings):
        detail = "none, so no money is moved: S1_BINANCE_KEY is not set, or this is testnet"
        return [CheckResult("exchange key", CheckGrade.OK, detail)]
    return [
        await run_check("ledger", _ledger(settings), _LEDGER),
        await run_check("exchange key", _key(settings, limits), _KEY),
        await run_check("exchange status", _status(settings, limits), _STATUS),
    ]


async def _ledger(settings: Settings) -> CheckResult:
    path = sqlite_path(settings)
    if not settings.db_arango_uri and not path.exists():
        return CheckResult("ledger", CheckGrade.OK, f"{path} will be created at the first start")
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        head = await stores.ledger(TREASURY_LEDGER).head()
    where = ", ".join(settings.db_arango_uri) or str(path)
    return CheckResult(
        "ledger", CheckGrade.OK, f"{where}: {head.seq} commits, head {head.hash[:12]}"
    )


async def _key(settings: Settings, limits: ExchangeLimits) -> CheckResult:
    async with _gateway(settings, limits) as gateway:
        may = await gateway.key_permissions()
    allowed = [
        ("read", may.may_read),
        ("transfer", may.may_transfer),
        ("use futures", may.may_use_futures),
        ("withdraw", may.may_withdraw),
    ]
    detail = "may " + (", ".join(word for word, granted in allowed if granted) or "do nothing")
    detail += ", restricted to IP addresses" if may.ip_restricted else ""
    usable = may.may_read and may.may_transfer and may.may_use_futures
    grade = CheckGrade.FAIL if not usable else CheckGrade.WARN if may.problems else CheckGrade.OK
    return CheckResult("exchange key", grade, detail, "; ".join(may.problems))


async def _status(settings: Settings, limits: ExchangeLimits) -> CheckResult:
    async with _gateway(settings, limits) as gateway:
        status = await gateway.exchange_status()
    if status.maintenance:
        return CheckResult(
            "exchange status",
            CheckGrade.WARN,
            status.message,
            "wait for the end of the maintenance",
        )
    return CheckResult("exchange status", CheckGrade.OK, status.message)


def _gateway(settings: Settings, limits: ExchangeLimits) -> BinanceGateway:
    clock = SystemClock()
    return build_gateway(settings, limits.budgets, lambda: float(clock.now_ms()))
