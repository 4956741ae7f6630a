"""Binance's own SDKs transfer money with nothing changed but addresses and key; ccxt has a module
of its own.
"""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import anyio
import anyio.to_thread
import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError

from tests.contract.binance_sdks import futures_sdk, spot_sdk, wallet_sdk
from tests.processes import ChimeraProcess, simulator_process
from tests.time_limits import TIMEOUT_S


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[ChimeraProcess]:
    async with simulator_process("--symbols", "1", "--spot-usdt", "1000") as process:
        yield process


def configuration(simulator: ChimeraProcess, host: str) -> ConfigurationRestAPI:
    ready = simulator.ready
    return ConfigurationRestAPI(
        api_key=ready["api_key"], api_secret=ready["api_secret"], base_path=ready[host]
    )


async def called(method: Callable[..., Any], **parameters: Any) -> Any:
    """The parsed reply; the SDKs' REST methods block, hence the thread."""
    with anyio.fail_after(TIMEOUT_S):
        response = await anyio.to_thread.run_sync(lambda: method(**parameters))
    return response.data()


async def test_the_sdks_transfer_money_and_read_it_back(simulator: ChimeraProcess) -> None:
    wallet = wallet_sdk(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api
    spot = spot_sdk(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api
    futures = futures_sdk(config_rest_api=configuration(simulator, "perp_rest_url")).rest_api

    before = (await called(futures.futures_account_balance_v3))[0]
    moved = await called(
        wallet.user_universal_transfer, type="MAIN_UMFUTURE", asset="USDT", amount=12.5
    )
    history = await called(wallet.query_user_universal_transfer_history, type="MAIN_UMFUTURE")
    after = (await called(futures.futures_account_balance_v3))[0]
    income = await called(futures.get_income_history, income_type="TRANSFER")
    account = await called(spot.get_account)
    futures_account = await called(futures.account_information_v3)
    older_account = await called(futures.account_information_v2)

    row = next(row for row in history.rows if row.tran_id == moved.tran_id)
    assert (Decimal(row.amount), row.asset, row.status) == (Decimal("12.5"), "USDT", "CONFIRMED")
    assert Decimal(after.balance) - Decimal(before.balance) == Decimal("12.5")
    assert income[-1].income == "12.50000000"
    assert {balance.asset for balance in account.balances} == {"USDT"}
    assert futures_account.total_wallet_balance == older_account.total_wallet_balance
    assert futures_account.assets[0].wallet_balance == after.balance
    assert {position.position_amt for position in older_account.positions} == {"0"}


async def test_the_wallet_sdk_reads_the_permissions_of_its_key(simulator: ChimeraProcess) -> None:
    wallet = wallet_sdk(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api

    may = await called(wallet.get_api_key_permission)

    assert may.enable_reading is may.permits_universal_transfer is True
    assert may.enable_withdrawals is False


async def test_the_wallet_sdk_reads_coins_and_fees(simulator: ChimeraProcess) -> None:
    wallet = wallet_sdk(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api

    coins = await called(wallet.all_coins_information)
    fees = await called(wallet.trade_fee, symbol="BTCUSDT")

    networks = {coin.coin: [network.coin for network in coin.network_list] for coin in coins}
    assert networks["USDT"] == ["USDT"]
    assert networks["BTC"] == ["BTC"]
    assert [(fee.symbol, fee.taker_commission) for fee in fees] == [("BTCUSDT", "0.001")]


async def test_the_wallet_sdk_parses_refusals(simulator: ChimeraProcess) -> None:
    good = configuration(simulator, "spot_rest_url")
    wanted: dict[str, Any] = {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": 1_000_000.0}
    with pytest.raises(BadRequestError, match="insufficient balance"):
        await called(wallet_sdk(config_rest_api=good).rest_api.user_universal_transfer, **wanted)

    unknown = ConfigurationRestAPI(api_key="another", api_secret="x", base_path=good.base_path)
    with pytest.raises(UnauthorizedError, match="Invalid API-key"):
        await called(wallet_sdk(config_rest_api=unknown).rest_api.user_universal_transfer, **wanted)
