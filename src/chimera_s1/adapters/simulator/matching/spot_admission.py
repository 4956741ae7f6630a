"""Whether a spot order is admitted: its parameters, filters, ids, and the side of the market."""

from decimal import Decimal

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.matcher import Matcher
from chimera_s1.adapters.simulator.matching.new_orders import NewOco, NewSpotOrder
from chimera_s1.adapters.simulator.matching.oco_lists import OcoLists
from chimera_s1.adapters.simulator.matching.oco_rules import check_legs, check_prices
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.spot_rules import (
    STOP_TYPES,
    check_counts,
    check_filters,
    check_parameters,
    check_symbol,
    triggers,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError


class SpotAdmission:
    """Every check raises `BinanceError`, the first one that Binance would answer."""

    def __init__(self, orders: OrderStore, lists: OcoLists, matcher: Matcher) -> None:
        self._orders = orders
        self._lists = lists
        self._matcher = matcher

    def check_request(self, spec: SymbolSpec, new: NewSpotOrder, qty: Decimal) -> None:
        """Before the matching engine; *qty*: what a market order by quote comes to."""
        check_symbol(spec, new.type)
        check_filters(spec, new, qty, self._matcher.last_price(spec.symbol))

    def check_entry(self, new: NewSpotOrder) -> None:
        """What the matching engine refuses."""
        self._check_counts(new.symbol, (new.type,))
        self._check_client_id(new.client_id)
        self._check_side_of_market(new)

    def check_list(self, spec: SymbolSpec, new: NewOco, legs: list[NewSpotOrder]) -> None:
        check_legs(new)
        last = self._matcher.last_price(spec.symbol)
        for leg in legs:
            check_parameters(leg)
            check_symbol(spec, leg.type)
            check_filters(spec, leg, new.qty, last)
        check_prices(new, last)
        self._check_counts(spec.symbol, tuple(leg.type for leg in legs))
        below, above = (leg.client_id for leg in legs)
        if (below and below == above) or self._lists.is_client_id_open(new.client_id):
            raise BinanceError(-2010, "Duplicate order sent.")
        for leg in legs:
            self._check_client_id(leg.client_id)
            self._check_side_of_market(leg)

    def _check_client_id(self, client_id: str) -> None:
        if client_id and self._orders.is_client_id_open(client_id):
            raise BinanceError(-2010, "Duplicate order sent.")

    def _check_counts(self, symbol: str, types: tuple[str, ...]) -> None:
        counted = [*(order.type for order in self._orders.open(symbol)), *types]
        check_counts(len(counted), sum(each in STOP_TYPES for each in counted))

    def _check_side_of_market(self, new: NewSpotOrder) -> None:
        last = self._matcher.last_price(new.symbol)
        if new.stop_price is not None and triggers(new.side, new.type, new.stop_price, last):
            raise BinanceError(-2010, "Order would trigger immediately.")
        if new.type != "LIMIT_MAKER" or new.price is None:
            return
        if self._matcher.would_take(new.symbol, new.side, new.price):
            raise BinanceError(-2010, "Order would immediately match and take.")
