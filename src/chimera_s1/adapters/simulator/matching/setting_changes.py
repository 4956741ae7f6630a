"""Changes of a futures account's settings, and what Binance refuses of them."""

from collections.abc import Callable

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.events import ConfigEvent
from chimera_s1.adapters.simulator.matching.perp_margin import MarginRules
from chimera_s1.adapters.simulator.matching.perp_positions import PositionBook
from chimera_s1.adapters.simulator.matching.perp_settings import CROSSED, ISOLATED, PerpSettings
from chimera_s1.adapters.simulator.rest.replies import BinanceError

OpenOrders = Callable[[str | None], bool]
"""Whether the symbol, or any, has open orders or algo orders."""


class SettingChanges:
    def __init__(
        self,
        settings: PerpSettings,
        has_orders: OpenOrders,
        positions: PositionBook,
        margin: MarginRules,
        *,
        clock: ScaledClock,
        emit: Callable[[ConfigEvent], None],
    ) -> None:
        self._settings = settings
        self._has_orders = has_orders
        self._positions = positions
        self._margin = margin
        self._clock = clock
        self._emit = emit

    def hedge_mode(self, hedge_mode: bool) -> None:
        if hedge_mode == self._settings.hedge_mode:
            raise BinanceError(-4059, "No need to change position side.")
        if self._has_orders(None):
            raise BinanceError(
                -4067, "Position side cannot be changed if there exists open orders."
            )
        if self._positions.open():
            raise BinanceError(-4068, "Position side cannot be changed if there exists position.")
        self._settings.hedge_mode = hedge_mode

    def multi_assets(self, multi_assets: bool) -> None:
        if multi_assets == self._settings.multi_assets:
            raise BinanceError(-4171, "No need to change Joint Margin Mode.")
        if multi_assets and ISOLATED in self._settings.margin_types.values():
            raise BinanceError(
                -4167, "Unable to adjust to Multi-Assets mode with symbols of isolated-margin."
            )
        self._settings.multi_assets = multi_assets
        self._emit(ConfigEvent(at_ms=self._clock.now_ms(), multi_assets=multi_assets))

    def leverage(self, spec: SymbolSpec, leverage: int) -> None:
        if not 1 <= leverage <= spec.max_leverage:
            raise BinanceError(-4028, f"Leverage {leverage} is not valid")
        before = self._settings.leverage(spec.symbol)
        self._settings.leverages[spec.symbol] = leverage
        if leverage < before and self._margin.account().available < 0:
            self._settings.leverages[spec.symbol] = before
            raise BinanceError(
                -2028, "Leverage is smaller than permitted: insufficient margin balance."
            )
        now = self._clock.now_ms()
        self._emit(ConfigEvent(at_ms=now, symbol=spec.symbol, leverage=leverage))

    def margin_type(self, symbol: str, margin_type: str) -> None:
        if margin_type not in {CROSSED, ISOLATED}:
            raise BinanceError(-1130, "Data sent for parameter 'marginType' is not valid.")
        if margin_type == self._settings.margin_type(symbol):
            raise BinanceError(-4046, "No need to change margin type.")
        if margin_type == ISOLATED and self._settings.multi_assets:
            raise BinanceError(
                -4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."
            )
        if self._has_orders(symbol):
            raise BinanceError(-4047, "Margin type cannot be changed if there exists open orders.")
        if self._positions.open(symbol):
            raise BinanceError(-4048, "Margin type cannot be changed if there exists position.")
        self._settings.margin_types[symbol] = margin_type
