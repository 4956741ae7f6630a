"""An exchange's wallets in the hands of a test: behind Binance's REST interface, and in memory."""

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
    Account,
    BinanceSubaccountGateway,
    BinanceTreasuryGateway,
    gateway_for,
)
from chimera_s1.adapters.simulator.config import (
    DEMO_KEY,
    AccountConfig,
    SimulatorAddresses,
    SimulatorConfig,
)
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.ports.key_permissions import KeyPermissions, KeyPermissionsReader
from chimera_s1.domain.ports.treasury_gateway import TransferOrder, TreasuryGateway, Unknown
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, Wallet
from chimera_s1.domain.treasury.reconciliation import MovementStatus, Window
from tests.contract.feed_harness import CLOCK, endpoints
from tests.fakes.treasury_gateway import Misbehaviour, ScriptedTreasuryGateway

START_USDT = Decimal(1_000)
PATHS = {
    TreasuryMode.WALLET: "/sapi/v1/asset/transfer",
    TreasuryMode.SUBACCOUNT: "/sapi/v1/sub-account/universalTransfer",
}


class Gateway(TreasuryGateway, KeyPermissionsReader, Protocol):
    """Both ports of the key's owner."""


class Bank(Struct):
    """The ports, and the far side."""

    port: Gateway
    execute_then_drop: Callable[[], Awaitable[None]]
    drop_before: Callable[[], Awaitable[None]]
    spoil_reads: Callable[[], Awaitable[None]]
    lag_histories: Callable[[int], Awaitable[None]]
    pend: Callable[[MovementStatus], Awaitable[None]]
    permit: Callable[[KeyPermissions], Awaitable[None]]
    balances: Callable[[], Awaitable[dict[Wallet, Decimal]]]

    def order(self, amount: str = "25.00000117", **change: Any) -> TransferOrder:
        """A good order, signed now."""
        order: dict[str, Any] = {
            "direction": Direction.SPOT_TO_FUTURES,
            "amount": Decimal(amount),
            "client_id": "s1-abc-1",
            "signed_at": CLOCK.now_ms(),
            "recv_window_ms": 5_000,
            **change,
        }
        return TransferOrder(**order)

    async def moved(self) -> Decimal:
        """How much went from spot to futures in all, net."""
        balances = await self.balances()
        assert sum(balances.values()) == 2 * START_USDT
        return balances[Wallet.FUTURES] - START_USDT


def around(now_ms: int) -> Window:
    """A window that everything a test does is in."""
    return Window(now_ms - 60_000, now_ms + 60_000)


@asynccontextmanager
async def memory_bank(mode: TreasuryMode) -> AsyncIterator[Bank]:
    gateway = ScriptedTreasuryGateway(CLOCK, mode, dict.fromkeys(Wallet, START_USDT))

    async def script(**turn: Any) -> None:
        gateway.script.append(Misbehaviour(**turn))

    async def spoil_reads() -> None:
        gateway.failures = 2

    async def lag_histories(lag_ms: int) -> None:
        gateway.history_lag_ms = gateway.income_lag_ms = lag_ms

    async def permit(permissions: KeyPermissions) -> None:
        gateway.permissions = permissions

    async def balances() -> dict[Wallet, Decimal]:
        return {wallet: gateway.balance(wallet) for wallet in Wallet}

    yield Bank(
        gateway,
        execute_then_drop=lambda: script(executes=True, reply=Unknown("no reply came")),
        drop_before=script,
        spoil_reads=spoil_reads,
        lag_histories=lag_histories,
        pend=lambda end: script(executes=True, status=end),
        permit=permit,
        balances=balances,
    )


def binance_gateway(
    mode: TreasuryMode, addresses: SimulatorAddresses
) -> BinanceTreasuryGateway | BinanceSubaccountGateway:
    account = Account(
        endpoints=endpoints(addresses),
        credentials=Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret)),
        exchange_ms=CLOCK.now_ms,
        budgets=weight_budgets(CLOCK),
    )
    return gateway_for(mode, account)


@asynccontextmanager
async def binance_bank(mode: TreasuryMode, tasks: TaskGroup) -> AsyncIterator[Bank]:
    account = AccountConfig(spot_usdt=START_USDT, futures_usdt=START_USDT)
    config = SimulatorConfig(symbols=("BTCUSDT",), rate=0.001, account=account)
    addresses = await tasks.start(Simulator(config, CLOCK).run)
    async with (
        httpx2.AsyncClient(base_url=addresses.control_url) as control,
        binance_gateway(mode, addresses) as gateway,
    ):
        yield _controlled(gateway, control)


def _controlled(
    gateway: BinanceTreasuryGateway | BinanceSubaccountGateway, control: httpx2.AsyncClient
) -> Bank:
    path = PATHS[gateway.mode]

    async def post(where: str, body: dict[str, Any]) -> None:
        (await control.post(where, json=body)).raise_for_status()

    async def fault(request: str, deed: str) -> None:
        await post("/sim/faults", {"on": request, "do": deed})

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
        }
        await post("/sim/wallet", {"permissions": allowed})

    async def balances() -> dict[Wallet, Decimal]:
        shown = (await control.get("/sim/balances")).raise_for_status().json()
        return {wallet: Decimal(shown[wallet.value.lower()]["USDT"]) for wallet in Wallet}

    return Bank(
        gateway,
        execute_then_drop=lambda: fault(f"POST {path}", "execute-then-drop"),
        drop_before=lambda: fault(f"POST {path}", "drop-before"),
        spoil_reads=spoil_reads,
        lag_histories=lambda lag_ms: post("/sim/wallet", {"history_lag_ms": lag_ms}),
        pend=pend,
        permit=permit,
        balances=balances,
    )
