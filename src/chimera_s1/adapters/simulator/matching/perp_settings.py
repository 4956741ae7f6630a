"""What the owner of a futures account has chosen: it holds for all its orders."""

from msgspec import Struct, field

DEFAULT_LEVERAGE = 20
CROSSED, ISOLATED = "CROSSED", "ISOLATED"


class PerpSettings(Struct):
    """Changed through the desk, which checks; read by anyone.

    Attributes:
        hedge_mode: Positions are LONG and SHORT; else one, BOTH.
        tradfi_signed: The agreement without which TradFi contracts are refused with -4411.
        leverages, margin_types: Of the symbols that were changed.
    """

    hedge_mode: bool = False
    multi_assets: bool = False
    tradfi_signed: bool = False
    leverages: dict[str, int] = field(default_factory=dict)
    margin_types: dict[str, str] = field(default_factory=dict)

    def leverage(self, symbol: str) -> int:
        return self.leverages.get(symbol, DEFAULT_LEVERAGE)

    def margin_type(self, symbol: str) -> str:
        return self.margin_types.get(symbol, CROSSED)
