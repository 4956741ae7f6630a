"""How the account is set up: what decides which orders it accepts."""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol


class SymbolConfiguration(Struct, frozen=True, kw_only=True):
    """Binance, USD-M "Symbol Configuration". *margin_type* is the exchange's text."""

    symbol: Symbol
    margin_type: str
    leverage: int
    notional_max: Decimal | None = None


class AccountConfiguration(Struct, frozen=True, kw_only=True):
    """Attributes:
    hedge_mode, multi_assets: None where it could not be read.
    symbols: Of the contracts that were asked for.
    spot_trading, futures_trading: What the key may do; None where it could not be read.
    can_trade: Of the account, by venue name; False while the exchange has stopped its trading.
    """

    hedge_mode: bool | None
    multi_assets: bool | None
    symbols: tuple[SymbolConfiguration, ...]
    spot_trading: bool | None
    futures_trading: bool | None
    can_trade_spot: bool | None = None
    can_trade_futures: bool | None = None
