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


class ConfigurationChange(Struct, frozen=True):
    """*what* is `hedge_mode`, or `leverage BTCUSDT`."""

    what: str
    before: str
    after: str


def changes_between(
    before: AccountConfiguration, after: AccountConfiguration
) -> tuple[ConfigurationChange, ...]:
    """What both have read, and is not the same."""
    old, new = _values(before), _values(after)
    return tuple(
        ConfigurationChange(what, str(value), str(new[what]))
        for what, value in old.items()
        if value is not None and new.get(what) is not None and new[what] != value
    )


def _values(configuration: AccountConfiguration) -> dict[str, object]:
    values: dict[str, object] = {
        name: getattr(configuration, name)
        for name in configuration.__struct_fields__
        if name != "symbols"
    }
    for row in configuration.symbols:
        values[f"margin_type {row.symbol}"] = row.margin_type
        values[f"leverage {row.symbol}"] = row.leverage
    return values
