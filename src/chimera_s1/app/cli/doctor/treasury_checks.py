"""The checks of what moves money: the ledger, and the exchange key."""

from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.ledger.stores import open_stores, sqlite_path
from chimera_s1.app.capabilities.treasury.wiring import build_gateway, may_move_money
from chimera_s1.app.cli.doctor.check_result import Finding, Grade, found
from chimera_s1.app.settings.settings import Settings

_LEDGER = "see the runbook, and chimera-s1 ledger verify"
_KEY = "look at the key's page at the exchange: permissions, and the addresses it works from"


async def check_treasury(settings: Settings) -> list[Finding]:
    """Two findings where there is a key; one that says so where there is none."""
    if not may_move_money(settings):
        detail = "none here, so no money is moved: S1_BINANCE_KEY is not set, or testnet is"
        return [Finding("exchange key", Grade.OK, detail)]
    return [
        await found("ledger", _ledger(settings), _LEDGER),
        await found("exchange key", _key(settings), _KEY),
    ]


async def _ledger(settings: Settings) -> Finding:
    path = sqlite_path(settings)
    if not settings.db_arango_uri and not path.exists():
        return Finding("ledger", Grade.OK, f"{path} will be made at the first start")
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        head = await stores.events.head()
    where = ", ".join(settings.db_arango_uri) or str(path)
    return Finding("ledger", Grade.OK, f"{where}: {head.seq} commits, head {head.hash[:12]}")


async def _key(settings: Settings) -> Finding:
    clock = SystemClock()
    budgets = weight_budgets(clock)
    async with build_gateway(settings, budgets, lambda: float(clock.now_ms())) as gateway:
        may = await gateway.key_permissions()
    said = [
        ("reads", may.may_read),
        ("transfers", may.may_transfer),
        ("withdraws", may.may_withdraw),
        ("is bound to addresses", may.ip_restricted),
    ]
    detail = "it " + ", ".join(word for word, can in said if can)
    if may.may_withdraw:
        return Finding("exchange key", Grade.WARN, detail, "take the right to withdraw away")
    if not may.may_read or not may.may_transfer:
        remedy = f"let it read and transfer ({settings.treasury_mode.value})"
        return Finding("exchange key", Grade.FAIL, detail, remedy)
    return Finding("exchange key", Grade.OK, detail)
