"""How the account is set up, as REST replies show it.

Sources: USD-M "Account Configuration" and "Symbol Configuration"; wallet "Get API Key Permission";
SPOT rest-api.md "Account information".
"""

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.orders.row_fields import number
from chimera_s1.domain.execution.account_configuration import SymbolConfiguration
from chimera_s1.domain.identifiers import parse_symbol

PERP_CONFIG_PATH = "/fapi/v1/accountConfig"
SYMBOLS_PATH = "/fapi/v1/symbolConfig"
PERMISSIONS_PATH = "/sapi/v1/account/apiRestrictions"
SPOT_PATH = "/api/v3/account"
SPOT_PARAMETERS = (("omitZeroBalances", "true"),)


class PerpConfig(Struct, frozen=True, rename="camel"):
    """None where the reply does not say it."""

    can_trade: bool | None = None
    dual_side_position: bool | None = None
    multi_assets_margin: bool | None = None


class Permissions(Struct, frozen=True, rename="camel"):
    enable_spot_and_margin_trading: bool | None = None
    enable_futures: bool | None = None


class SpotAccount(Struct, frozen=True, rename="camel"):
    balances: list[Raw]
    can_trade: bool | None = None


class _Symbol(Struct, frozen=True, rename="camel"):
    symbol: str
    margin_type: str
    leverage: int
    max_notional_value: str = ""


def read_symbol(raw: Raw) -> SymbolConfiguration:
    row = msgspec.json.decode(raw, type=_Symbol)
    return SymbolConfiguration(
        symbol=parse_symbol(row.symbol),
        margin_type=row.margin_type,
        leverage=row.leverage,
        notional_max=_notional(row.max_notional_value),
    )


def _notional(text: str) -> Decimal | None:
    """None where there is no limit, which Binance writes as INF."""
    return None if text in {"", "INF"} else number("maxNotionalValue", text)
