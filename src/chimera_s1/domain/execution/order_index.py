"""Which order of ours an id of the exchange belongs to."""

from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from typing import Self, TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import FillKey
from chimera_s1.domain.execution.tracked_order import TrackedOrder, client_ids_of
from chimera_s1.domain.identifiers import Symbol, Venue

OrderKey: TypeAlias = tuple[OrderFamily, Symbol, str]
"""An id of the exchange; those of orders, lists and algo orders are counted apart."""


class OrderIndex(Struct):
    """Attributes:
    owners: Our client id of an order, and of the children of an order.
    lists: Our client id of the list, by the client id of a leg.
    foreign_fills: Trades that are recorded as foreign, by their order.
    """

    owners: MutableMapping[OrderKey, str]
    lists: MutableMapping[str, str]
    foreign_fills: MutableMapping[OrderKey, tuple[FillKey, ...]]

    @classmethod
    def empty(cls) -> Self:
        return cls({}, {}, {})

    def overlay(self) -> Self:
        """A copy whose changes leave this index as it is."""
        return type(self)(
            ChainMap({}, self.owners), ChainMap({}, self.lists), ChainMap({}, self.foreign_fills)
        )

    def add(self, order: TrackedOrder) -> None:
        for key in order_keys(order):
            self.owners[key] = order.client_id
        for leg_id in client_ids_of(order.request)[1:]:
            self.lists[leg_id] = order.client_id

    def remove(self, order: TrackedOrder) -> None:
        for key in order_keys(order):
            self.owners.pop(key, None)
        for leg_id in client_ids_of(order.request)[1:]:
            self.lists.pop(leg_id, None)

    def add_foreign_fill(self, key: FillKey) -> None:
        order_key = fill_order_key(key)
        self.foreign_fills[order_key] = (*self.foreign_fills.get(order_key, ()), key)

    def remove_foreign_fill(self, key: FillKey) -> None:
        order_key = fill_order_key(key)
        known = self.foreign_fills.get(order_key, ())
        left = tuple(other for other in known if other != key)
        if left or isinstance(self.foreign_fills, ChainMap):
            self.foreign_fills[order_key] = left
        else:
            self.foreign_fills.pop(order_key, None)


def child_family(venue: Venue) -> OrderFamily:
    """Of legs, of the orders that algo orders become, and of every order that trades."""
    return OrderFamily.SPOT_ORDER if venue is Venue.SPOT else OrderFamily.PERP_ORDER


def fill_order_key(key: FillKey) -> OrderKey:
    return child_family(key.venue), key.symbol, key.order_id


def order_keys(order: TrackedOrder) -> Iterator[OrderKey]:
    """Every id of the exchange by which *order* and its children are known."""
    symbol = order.request.symbol
    if order.exchange_id:
        yield order.family, symbol, order.exchange_id
    if not (order.legs or order.children or order.child_id):
        return
    legs = (leg.exchange_id for leg in order.legs)
    for child_id in sorted({*order.children, order.child_id, *legs} - {""}):
        yield child_family(order.venue), symbol, child_id
