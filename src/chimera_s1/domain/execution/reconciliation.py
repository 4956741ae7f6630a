"""Compare what the exchange lists as open with the orders of the ledger.

An order that is not listed is looked up by its id; nothing is concluded from its absence, and an
order younger than the query lag is never called absent.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.client_ids import has_our_prefix
from chimera_s1.domain.execution.foreign_orders import ForeignOrder, foreign_order
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRef
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport
from chimera_s1.domain.identifiers import Venue

ListedOrder: TypeAlias = OrderReport | OrderListReport


class OwnState(StrEnum):
    PENDING = "pending"
    """Planned, or its outcome is unknown: another use case looks it up."""
    OPEN = "open"
    CLOSED = "closed"
    NEVER = "never"
    """Refused, not sent, or absent: it does not exist at the exchange."""


class OwnOrder(Struct, frozen=True, kw_only=True):
    """An order of the ledger.

    Attributes:
        trade_orders: Exchange ids of the orders that its trades belong to: its own, its child's,
            its legs'.
        filled_qty: As the exchange said last.
        fills_qty: Sum of the fills in the ledger.
        at_ms: Its last news, or when it was signed; exchange epoch ms.
    """

    ref: OrderRef
    state: OwnState
    status: str
    trade_orders: tuple[str, ...]
    filled_qty: Decimal
    fills_qty: Decimal
    at_ms: int

    @property
    def client_id(self) -> str:
        return self.ref.client_id

    @property
    def venue(self) -> Venue:
        return self.ref.family.venue

    @property
    def misses_fills(self) -> bool:
        return self.filled_qty > self.fills_qty


class DifferenceKind(StrEnum):
    ORDER_VANISHED = "order_vanished"
    ORDER_REAPPEARED = "order_reappeared"
    ORDER_UNKNOWN = "order_unknown"
    FILLS_MISSING = "fills_missing"
    POSITION = "position"


class Difference(Struct, frozen=True, kw_only=True):
    """What stays different after the repair.

    Attributes:
        subject: A client id, or a symbol.
        text: For the operator: both values, and what to do.
    """

    kind: DifferenceKind
    venue: Venue
    subject: str
    text: str


class OpenOrdersJudgement(Struct, frozen=True, kw_only=True):
    """Attributes:
    matched: Client ids of open orders of ours that the exchange lists.
    ours: What it says of orders of ours; to be recorded.
    look_up: Orders of ours whose state only a look-up by id can tell.
    young: Client ids of orders that are not listed, which means nothing yet.
    """

    matched: tuple[str, ...]
    ours: tuple[ListedOrder, ...]
    look_up: tuple[OwnOrder, ...]
    young: tuple[str, ...]
    foreign: tuple[ForeignOrder, ...]
    differences: tuple[Difference, ...]


def judge_open_orders(
    venue: Venue,
    own: Mapping[str, OwnOrder],
    listed: Iterable[ListedOrder],
    *,
    owner_of: Callable[[ListedOrder], str | None],
    read_from_ms: int,
) -> OpenOrdersJudgement:
    """*own* has the orders of *venue*, *read_from_ms* is exchange time before the first request."""
    ours: list[ListedOrder] = []
    foreign: list[ForeignOrder] = []
    owners: set[str] = set()
    for report in listed:
        owner = owner_of(report)
        if owner is None:
            foreign.append(foreign_order(report))
        else:
            ours.append(report)
            owners.add(owner)
    stale_from_ms = read_from_ms - QUERY_LAG_MS
    is_open = {key: order for key, order in own.items() if order.state is OwnState.OPEN}
    missing = [order for key, order in is_open.items() if key not in owners]
    ended = [own[key] for key in owners if key in own and _has_ended(own[key], stale_from_ms)]
    return OpenOrdersJudgement(
        matched=tuple(key for key in is_open if key in owners),
        ours=tuple(ours),
        look_up=(*(order for order in missing if order.at_ms <= stale_from_ms), *ended),
        young=tuple(order.client_id for order in missing if order.at_ms > stale_from_ms),
        foreign=tuple(foreign),
        differences=(
            *(_unknown(venue, order.report) for order in foreign if _is_unknown(order)),
            *map(_reappeared, ended),
        ),
    )


def _has_ended(order: OwnOrder, stale_from_ms: int) -> bool:
    """It ended so long ago that the listing cannot be an old one."""
    return order.state in {OwnState.CLOSED, OwnState.NEVER} and order.at_ms <= stale_from_ms


def _is_unknown(order: ForeignOrder) -> bool:
    return has_our_prefix(order.report.client_id)


def _unknown(venue: Venue, report: ListedOrder) -> Difference:
    return Difference(
        kind=DifferenceKind.ORDER_UNKNOWN,
        venue=venue,
        subject=report.client_id,
        text=f"{report.client_id} ({report.symbol}) has the prefix of this service, but the ledger "
        "lacks it: another ledger uses the account, or this one was restored; it is not touched",
    )


def _reappeared(order: OwnOrder) -> Difference:
    known = order.status or "not placed"
    return Difference(
        kind=DifferenceKind.ORDER_REAPPEARED,
        venue=order.venue,
        subject=order.client_id,
        text=f"{order.client_id} ({order.ref.symbol}) is {known} in the ledger, but the exchange "
        "lists it as open: look at the order at the exchange",
    )


def vanished(order: OwnOrder) -> Difference:
    """It was acknowledged, and the exchange neither lists it nor finds it by its id."""
    return Difference(
        kind=DifferenceKind.ORDER_VANISHED,
        venue=order.venue,
        subject=order.client_id,
        text=f"{order.client_id} ({order.ref.symbol}) is {order.status} in the ledger; the "
        "exchange does not list it as open and does not find it: look at the order history",
    )


def fills_missing(order: OwnOrder) -> Difference:
    return Difference(
        kind=DifferenceKind.FILLS_MISSING,
        venue=order.venue,
        subject=order.client_id,
        text=f"{order.client_id} ({order.ref.symbol}) is filled with {order.filled_qty}, its "
        f"trades add up to {order.fills_qty}: look at its trades at the exchange",
    )


class Repair(Struct, frozen=True, kw_only=True):
    """An order of the ledger that was brought up to date."""

    client_id: str
    symbol: str
    family: OrderFamily
    before: str
    after: str


def repairs(before: Mapping[str, OwnOrder], after: Mapping[str, OwnOrder]) -> tuple[Repair, ...]:
    """Orders whose state or quantities differ; new ones are not repairs."""
    changed = (
        (old, after[key])
        for key, old in before.items()
        if key in after and _shown(after[key]) != _shown(old)
    )
    return tuple(
        Repair(
            client_id=new.client_id,
            symbol=new.ref.symbol,
            family=new.ref.family,
            before=_shown(old),
            after=_shown(new),
        )
        for old, new in changed
    )


def _shown(order: OwnOrder) -> str:
    text = f"{order.status or order.state.value} filled {order.filled_qty.normalize():f}"
    return f"{text}, trades {order.fills_qty.normalize():f}" if order.misses_fills else text
