"""Binance's own SDKs, imported when they are used: they take seconds, and every worker collects."""

from importlib import import_module
from typing import Any

Sdk = Any


def spot_sdk(**configuration: Any) -> Sdk:
    return import_module("binance_sdk_spot.spot").Spot(**configuration)


def futures_sdk(**configuration: Any) -> Sdk:
    package = "binance_sdk_derivatives_trading_usds_futures"
    module = import_module(f"{package}.derivatives_trading_usds_futures")
    return module.DerivativesTradingUsdsFutures(**configuration)


def wallet_sdk(**configuration: Any) -> Sdk:
    return import_module("binance_sdk_wallet.wallet").Wallet(**configuration)
