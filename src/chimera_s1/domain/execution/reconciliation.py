"""Compare what the exchange lists as open with the orders of the ledger.

An order that is not listed is looked up by its id; nothing is concluded from its absence, and an
order younger than the query lag is never called absent.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from msgspec import Struct

from chimera_s1.domain.execution.client_ids import has_our_prefix
from chimera_s1.domain.execution.foreign_orders import ForeignOrder, foreign_order
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport
from chimera_s1.domain.execution.tracked_order import ENDED, OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Venue

ListedOrder: TypeAlias = OrderReport | OrderListReport


OPEN: Final = frozenset({OrderPhase.ACKNOWLEDGED})


class DifferenceKind(StrEnum):
    """What stays different between account and ledger."""

    ORDER_VANISHED = "order_vanished"
    ORDER_REAPPEARED = "order_reappeared"
    ORDER_UNKNOWN = "order_unknown"
    FILLS_MISSING = "fills_missing"
    POSITION_UNEXPLAINED = "position_unexplained"


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
    look_up: tuple[TrackedOrder, ...]
    young: tuple[str, ...]
    foreign: tuple[ForeignOrder, ...]
    differences: tuple[Difference, ...]


def judge_open_orders(
    venue: Venue,
    own: Mapping[str, TrackedOrder],
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
    is_open = {key: order for key, order in own.items() if order.phase in OPEN}
    missing = [order for key, order in is_open.items() if key not in owners]
    ended = [own[key] for key in owners if key in own and _has_ended(own[key], stale_from_ms)]
    return OpenOrdersJudgement(
        matched=tuple(key for key in is_open if key in owners),
        ours=tuple(ours),
        look_up=(*(order for order in missing if last_change_ms(order) <= stale_from_ms), *ended),
        young=tuple(order.client_id for order in missing if last_change_ms(order) > stale_from_ms),
        foreign=tuple(foreign),
        differences=(
            *(_unknown(venue, order.report) for order in foreign if _is_unknown(order)),
            *map(_reappeared, ended),
        ),
    )


def last_change_ms(order: TrackedOrder) -> int:
    """When it last changed: by its request, a report or a cancel; exchange epoch ms."""
    return max(order.at_ms, order.signed_at_ms, order.cancel_requested_ms)


def trade_orders(order: TrackedOrder) -> tuple[str, ...]:
    """Exchange ids of the orders that its trades belong to: its own, its child's, its legs'."""
    match order.family:
        case OrderFamily.SPOT_ORDER | OrderFamily.PERP_ORDER:
            ids = [order.exchange_id]
        case OrderFamily.SPOT_LIST:
            ids = [leg.exchange_id for leg in order.legs]
        case OrderFamily.PERP_ALGO:
            ids = [order.child_id]
        case _:
            assert_never(order.family)
    return tuple(filter(None, ids))


def _has_ended(order: TrackedOrder, stale_from_ms: int) -> bool:
    """It ended so long ago that the listing cannot be an old one."""
    return order.phase in ENDED and last_change_ms(order) <= stale_from_ms


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


def _reappeared(order: TrackedOrder) -> Difference:
    known = order.status or order.phase.value
    return Difference(
        kind=DifferenceKind.ORDER_REAPPEARED,
        venue=order.venue,
        subject=order.client_id,
        text=f"{order.client_id} ({order.request.symbol}) is {known} in the ledger, but the "
        "exchange lists it as open: look at the order at the exchange",
    )


def vanished(order: TrackedOrder) -> Difference:
    """It was acknowledged, and the exchange neither lists it nor finds it by its id."""
    return Difference(
        kind=DifferenceKind.ORDER_VANISHED,
        venue=order.venue,
        subject=order.client_id,
        text=f"{order.client_id} ({order.request.symbol}) is {order.status} in the ledger; the "
        "exchange does not list it as open and does not find it: look at the order history",
    )


def fills_missing(order: TrackedOrder) -> Difference:
    return Difference(
        kind=DifferenceKind.FILLS_MISSING,
        venue=order.venue,
        subject=order.client_id,
        text=f"{order.client_id} ({order.request.symbol}) is filled with {order.filled_qty}, its "
        f"trades add up to {order.fills.qty}: look at its trades at the exchange",
    )


class Repair(Struct, frozen=True, kw_only=True):
    """An order of the ledger that was brought up to date."""

    client_id: str
    symbol: str
    family: OrderFamily
    before: str
    after: str


def repairs(
    before: Mapping[str, TrackedOrder], after: Mapping[str, TrackedOrder]
) -> tuple[Repair, ...]:
    """Orders whose state or quantities differ; new ones are not repairs."""
    changed = (
        (old, after[key])
        for key, old in before.items()
        if key in after and _shown(after[key]) != _shown(old)
    )
    return tuple(
        Repair(
            client_id=new.client_id,
            symbol=new.request.symbol,
            family=new.family,
            before=_shown(old),
            after=_shown(new),
        )
        for old, new in changed
    )


def _shown(order: TrackedOrder) -> str:
    text = f"{order.status or order.phase.value} filled {order.filled_qty.normalize():f}"
    if order.fills.qty < order.filled_qty:
        return f"{text}, trades {order.fills.qty.normalize():f}"
    return text
