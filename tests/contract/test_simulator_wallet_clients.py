"""Third-party clients transfer money with nothing changed but addresses and key."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import anyio
import anyio.to_thread
import ccxt.async_support as ccxt  # type: ignore[import-untyped]  # it ships no types
import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as usds
from binance_sdk_spot.spot import Spot
from binance_sdk_wallet.wallet import Wallet

from tests.processes import ChimeraProcess, simulator_process

TIMEOUT_S = 20


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
    wallet = Wallet(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api
    spot = Spot(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api
    futures = usds.DerivativesTradingUsdsFutures(
        config_rest_api=configuration(simulator, "perp_rest_url")
    ).rest_api

    before = (await called(futures.futures_account_balance_v3))[0]
    moved = await called(
        wallet.user_universal_transfer, type="MAIN_UMFUTURE", asset="USDT", amount=12.5
    )
    history = await called(wallet.query_user_universal_transfer_history, type="MAIN_UMFUTURE")
    after = (await called(futures.futures_account_balance_v3))[0]
    income = await called(futures.get_income_history, income_type="TRANSFER")
    account = await called(spot.get_account)

    row = next(row for row in history.rows if row.tran_id == moved.tran_id)
    assert (Decimal(row.amount), row.asset, row.status) == (Decimal("12.5"), "USDT", "CONFIRMED")
    assert Decimal(after.balance) - Decimal(before.balance) == Decimal("12.5")
    assert income[-1].income == "12.50000000"
    assert {balance.asset for balance in account.balances} == {"USDT"}


async def test_the_wallet_sdk_reads_the_permissions_of_its_key(simulator: ChimeraProcess) -> None:
    wallet = Wallet(config_rest_api=configuration(simulator, "spot_rest_url")).rest_api

    may = await called(wallet.get_api_key_permission)

    assert may.enable_reading is may.permits_universal_transfer is True
    assert may.enable_withdrawals is False


async def test_the_wallet_sdk_parses_refusals(simulator: ChimeraProcess) -> None:
    good = configuration(simulator, "spot_rest_url")
    wanted: dict[str, Any] = {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": 1_000_000.0}
    with pytest.raises(BadRequestError, match="insufficient balance"):
        await called(Wallet(config_rest_api=good).rest_api.user_universal_transfer, **wanted)

    unknown = ConfigurationRestAPI(api_key="another", api_secret="x", base_path=good.base_path)
    with pytest.raises(UnauthorizedError, match="Invalid API-key"):
        await called(Wallet(config_rest_api=unknown).rest_api.user_universal_transfer, **wanted)


async def test_ccxt_transfers_money_back(simulator: ChimeraProcess) -> None:
    """ccxt signs a body, the SDKs sign a query."""
    ready = simulator.ready
    client = ccxt.binance({"apiKey": ready["api_key"], "secret": ready["api_secret"]})
    client.urls["api"]["sapi"] = ready["spot_rest_url"] + "/sapi/v1"
    client.urls["api"]["fapiPrivateV3"] = ready["perp_rest_url"] + "/fapi/v3"
    try:
        with anyio.fail_after(TIMEOUT_S):
            moved = await client.sapi_post_asset_transfer(
                {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "7"}
            )
            history = await client.sapi_get_asset_transfer({"type": "UMFUTURE_MAIN"})
            balance = await client.fapiprivatev3_get_balance()
    finally:
        await client.close()

    assert moved["tranId"] in {row["tranId"] for row in history["rows"]}
    assert {row["asset"] for row in balance} == {"USDT"}
