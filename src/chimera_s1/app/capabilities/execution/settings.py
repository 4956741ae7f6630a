"""The settings of orders and entries."""

from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.settings.fields import number_setting, text_setting
from chimera_s1.app.settings.types import Amount, SymbolNames, WholeNumber

_GROUP = "Entries"


class ExecutionSettings(CoreSettings):
    """Orders use the exchange key; without one there are none."""

    entry_max_usdt: Amount = text_setting(
        _GROUP, "1000", "USDT, most that one entry may be worth", "1000"
    )
    entry_daily_cap: Amount = text_setting(
        _GROUP,
        "10000",
        "USDT, most that all entries of one UTC day may be worth, however they end",
        "10000",
    )
    entry_symbols: SymbolNames = text_setting(
        _GROUP, "", "symbols that may be entered, with commas; empty: all", "BTCUSDT,ETHUSDT"
    )
    entry_quote_age_ms: WholeNumber = number_setting(
        _GROUP, 1_500, (50, 60_000), "ms, an older quote is no basis for an entry or a guard"
    )
