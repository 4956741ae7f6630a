"""An exchange's wallets under a test's control: behind Binance's REST interface, and in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Protocol

import httpx2
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.treasury.gateway import (
    BinanceSubaccountGateway,
    BinanceWalletGateway,
    GatewayConfig,
    make_gateway,
)
from chimera_s1.adapters.simulator.config import (
    DEMO_KEY,
    AccountConfig,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.ports.exchange_status import ExchangeStatus, ExchangeStatusReader
from chimera_s1.domain.ports.key_permissions import KeyPermissions, KeyPermissionsReader
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyUnknown,
    TransferSubmission,
    TreasuryGateway,
)
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, Wallet
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, MovementStatus
from tests.contract.feed_harness import simulator_endpoints
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()

START_USDT = Decimal(1_000)
TRANSFER_PATHS = {
    TreasuryMode.WALLET: "/sapi/v1/asset/transfer",
    TreasuryMode.SUBACCOUNT: "/sapi/v1/sub-account/universalTransfer",
}


class GatewayPorts(TreasuryGateway, KeyPermissionsReader, ExchangeStatusReader, Protocol):
    """All ports of a gateway."""


class GatewayHarness(Struct):
    """The ports, and control of the exchange behind them."""

    gateway: GatewayPorts
    execute_then_drop: Callable[[], Awaitable[None]]
    drop_before: Callable[[], Awaitable[None]]
    fail_next_reads: Callable[[], Awaitable[None]]
    lag_histories: Callable[[int], Awaitable[None]]
    leave_pending: Callable[[MovementStatus], Awaitable[None]]
    set_permissions: Callable[[KeyPermissions], Awaitable[None]]
    set_maintenance: Callable[[bool], Awaitable[None]]
    balances: Callable[[], Awaitable[dict[Wallet, Decimal]]]

    def order(self, amount: str = "25.00000117", **change: Any) -> TransferSubmission:
        """A valid order, signed now."""
        order: dict[str, Any] = {
            "direction": Direction.SPOT_TO_FUT,
            "amount": Decimal(amount),
            "client_id": "s1-abc-1",
            "signed_at": CLOCK.now_ms(),
            "recv_window_ms": 5_000,
            **change,
        }
        return TransferSubmission(**order)

    async def net_moved(self) -> Decimal:
        """How much went from spot to futures in all, net."""
        balances = await self.balances()
        assert sum(balances.values()) == 2 * START_USDT
        return balances[Wallet.FUT] - START_USDT


def window_around(now_ms: int) -> ExecutionWindow:
    """A window that contains everything a test does."""
    return ExecutionWindow(now_ms - 60_000, now_ms + 60_000)


@asynccontextmanager
async def memory_gateway_harness(mode: TreasuryMode) -> AsyncIterator[GatewayHarness]:
    gateway = ScriptedTreasuryGateway(CLOCK, mode, dict.fromkeys(Wallet, START_USDT))

    async def script(**turn: Any) -> None:
        gateway.script.append(ScriptedResponse(**turn))

    async def spoil_reads() -> None:
        gateway.incomplete_reads = 2

    async def lag_histories(lag_ms: int) -> None:
        gateway.history_lag_ms = gateway.income_lag_ms = lag_ms

    async def permit(permissions: KeyPermissions) -> None:
        gateway.permissions = permissions

    async def maintain(maintenance: bool) -> None:
        gateway.status = ExchangeStatus(maintenance=maintenance)

    async def balances() -> dict[Wallet, Decimal]:
        return {wallet: gateway.balance(wallet) for wallet in Wallet}

    yield GatewayHarness(
        gateway,
        execute_then_drop=lambda: script(executes=True, reply=ReplyUnknown("no reply came")),
        drop_before=script,
        fail_next_reads=spoil_reads,
        lag_histories=lag_histories,
        leave_pending=lambda end: script(executes=True, status=end),
        set_permissions=permit,
        set_maintenance=maintain,
        balances=balances,
    )


def binance_gateway(
    mode: TreasuryMode, addresses: SimulatorAddresses
) -> BinanceWalletGateway | BinanceSubaccountGateway:
    account = GatewayConfig(
        endpoints=simulator_endpoints(addresses),
        credentials=Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret)),
        exchange_ms=CLOCK.now_ms,
        budgets=weight_budgets(CLOCK),
    )
    return make_gateway(mode, account)


@asynccontextmanager
async def binance_gateway_harness(
    mode: TreasuryMode, tasks: TaskGroup
) -> AsyncIterator[GatewayHarness]:
    account = AccountConfig(spot_usdt=START_USDT, fut_usdt=START_USDT)
    config = SimulatorConfig(symbols=("BTCUSDT",), rate=0.001, account=account)
    addresses = await tasks.start(Simulator(config, CLOCK).run)
    async with (
        httpx2.AsyncClient(base_url=addresses.control_url, timeout=TIMEOUT_S) as control,
        binance_gateway(mode, addresses) as gateway,
    ):
        yield _make_harness(gateway, control)


def _make_harness(
    gateway: BinanceWalletGateway | BinanceSubaccountGateway, control_client: httpx2.AsyncClient
) -> GatewayHarness:
    path = TRANSFER_PATHS[gateway.mode]

    async def post(where: str, body: dict[str, Any]) -> None:
        (await control_client.post(where, json=body)).raise_for_status()

    async def fault(request: str, action: str) -> None:
        await post("/sim/faults", {"on": request, "do": action})

    async def spoil_reads() -> None:
        await fault(f"GET {path}", "body:truncated")
        await fault("GET /fapi/v1/income", "status:502")

    async def pend(status: MovementStatus) -> None:
        pending = status is not MovementStatus.CONFIRMED
        ends = {"pending_ends": "FAILED"} if status is MovementStatus.FAILED else {}
        lasts_ms = 1 if status is MovementStatus.FAILED else 3_600_000
        await post("/sim/wallet", {"pending_ms": lasts_ms if pending else 0, **ends})

    async def permit(permissions: KeyPermissions) -> None:
        allowed = {
            "reading": permissions.may_read,
            "universal_transfer": permissions.may_transfer,
            "internal_transfer": permissions.may_transfer,
            "futures": permissions.may_use_futures,
            "withdrawals": permissions.may_withdraw,
        }
        await post("/sim/wallet", {"permissions": allowed})

    async def balances() -> dict[Wallet, Decimal]:
        shown = (await control_client.get("/sim/balances")).raise_for_status().json()
        return {wallet: Decimal(shown[wallet.value.lower()]["USDT"]) for wallet in Wallet}

    return GatewayHarness(
        gateway,
        execute_then_drop=lambda: fault(f"POST {path}", "execute-then-drop"),
        drop_before=lambda: fault(f"POST {path}", "drop-before"),
        fail_next_reads=spoil_reads,
        lag_histories=lambda lag_ms: post("/sim/wallet", {"history_lag_ms": lag_ms}),
        leave_pending=pend,
        set_permissions=permit,
        set_maintenance=lambda maintenance: post("/sim/wallet", {"maintenance": maintenance}),
        balances=balances,
    )
