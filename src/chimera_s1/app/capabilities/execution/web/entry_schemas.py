"""Entries as the HTTP API shows them."""

from typing import Annotated, Self

from msgspec import Meta, Struct, structs

from chimera_s1.app.capabilities.execution.entries.accept_entries import EntryPicture
from chimera_s1.app.capabilities.execution.entries.timeline import TimelineRow
from chimera_s1.app.capabilities.execution.web.schemas import exact
from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.execution.entries.entry import EntryOrders
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.execution.entries.order_ids import OrderRole, step_of
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.identifiers import TRANSFER_ID_PATTERN, Venue
from chimera_s1.domain.money import exact_text

EntryKey = Annotated[
    str,
    Meta(
        description="The key of the entry.",
        pattern=f"^{TRANSFER_ID_PATTERN}$",
        examples=["s4-20261128-0001"],
    ),
]


class EntryOrderView(Struct, frozen=True, kw_only=True):
    """One order of an entry."""

    role: Annotated[
        OrderRole,
        Meta(
            description="e: entry, s: stop, c: close, o: OCO list, x: exit by the guard.",
            examples=["s"],
        ),
    ]
    client_order_id: Annotated[
        str, Meta(description="Its own.", examples=["s1-mfzwkztbonsgmylemfzw-s1"])
    ]
    order_id: Annotated[
        str,
        Meta(description="The exchange's id; empty before the acknowledgement.", examples=["4711"]),
    ]
    phase: Annotated[
        str,
        Meta(
            description="What is known: planned, unknown, acknowledged, closed, refused, not_sent "
            "or absent.",
            examples=["acknowledged"],
        ),
    ]
    status: Annotated[str, Meta(description="The exchange's word.", examples=["NEW"])]
    filled_qty: Annotated[str, Meta(description="As far as known.", examples=["0"])]
    message: Annotated[
        str, Meta(description="Why it was refused or ended; else empty.", examples=[""])
    ]

    @classmethod
    def of(cls, order: TrackedOrder) -> Self:
        step = step_of(order.client_id)
        assert step is not None
        return cls(
            role=step.role,
            client_order_id=order.client_id,
            order_id=order.exchange_id,
            phase=order.phase.value,
            status=order.status,
            filled_qty=exact_text(order.filled_qty),
            message=order.message,
        )


class EntryView(Struct, frozen=True, kw_only=True):
    """An entry as it is now. Quantities and prices are exact text."""

    entry_id: EntryKey
    venue: Annotated[Venue, Meta(description="spot or perp.", examples=["perp"])]
    symbol: Annotated[str, Meta(description="Of the venue.", examples=["BTCUSDT"])]
    side: Annotated[str, Meta(description="Of the entry order.", examples=["BUY"])]
    state: Annotated[
        EntryStatus, Meta(description="See the page on entries.", examples=["PROTECTED"])
    ]
    filled_qty: Annotated[str, Meta(description="Of the entry order.", examples=["0.01"])]
    avg_price: Annotated[
        str | None, Meta(description="Null: nothing is filled.", examples=["67403.8"])
    ]
    protected_qty: Annotated[
        str,
        Meta(
            description="Of what is held: covered by a stop, an OCO or a guard.",
            examples=["0.01"],
        ),
    ]
    closed_qty: Annotated[str, Meta(description="By its own orders, or by others.", examples=["0"])]
    dust: Annotated[str, Meta(description="Held, but too little for any order.", examples=["0"])]
    unprotected_ms: Annotated[
        int,
        Meta(
            description="How long a part has been without protection by now; 0: none is.",
            examples=[0],
        ),
    ]
    orders: tuple[EntryOrderView, ...]
    accepted_at: Annotated[
        int, Meta(description="The exchange's clock, epoch ms.", examples=[1795910400000])
    ]
    waiting_for: Annotated[
        str,
        Meta(
            description="What comes next, and when; empty once it has ended.",
            examples=["the limit order, until 12:00:05.000"],
        ),
    ]
    message: Annotated[
        str, Meta(description="Why; empty where the state says it.", examples=[""])
    ] = ""

    @classmethod
    def of(cls, now: EntryPicture) -> Self:
        spec, picture = now.entry.spec, now.picture
        return cls(
            entry_id=now.entry.entry_id,
            venue=spec.instrument.venue,
            symbol=spec.symbol,
            side=spec.side.value,
            state=EntryStatus.NEW if picture is None else picture.status,
            filled_qty="0" if picture is None else exact_text(picture.filled_qty),
            avg_price=None if picture is None else exact(picture.avg_price),
            protected_qty="0" if picture is None else exact_text(picture.protected_qty),
            closed_qty="0" if picture is None else exact_text(picture.closed_qty),
            dust="0" if picture is None else exact_text(picture.dust),
            unprotected_ms=now.unprotected_ms,
            orders=tuple(map(EntryOrderView.of, all_orders(now.orders))),
            accepted_at=now.entry.accepted.at_ms,
            waiting_for=now.waiting_for,
            message="" if picture is None else picture.message,
        )


class TimelineRowView(Struct, frozen=True, kw_only=True):
    """One thing that has happened to an entry, to an order of it or to a trade."""

    at: Annotated[
        int,
        Meta(description="When it was recorded, local clock, epoch ms.", examples=[1795910400012]),
    ]
    text: Annotated[
        str,
        Meta(
            description="What, for people; its words may change.",
            examples=["stop 1: acknowledged: NEW filled 0, exchange id 4711, by reply"],
        ),
    ]

    @classmethod
    def of(cls, row: TimelineRow) -> Self:
        return cls(at=row.at_ms, text=row.text)


class EntryDetailView(EntryView, frozen=True, kw_only=True):
    """An entry as it is now, and how it came to that."""

    timeline: Annotated[
        tuple[TimelineRowView, ...] | None,
        Meta(
            description="The oldest first, with the first 100 trades. Null: the store cannot be "
            "read now; the rest is from memory."
        ),
    ]

    @classmethod
    def with_timeline(cls, now: EntryPicture, rows: tuple[TimelineRow, ...] | None) -> Self:
        shown = None if rows is None else tuple(map(TimelineRowView.of, rows))
        return cls(**structs.asdict(EntryView.of(now)), timeline=shown)


class EntryListView(Struct, frozen=True, kw_only=True):
    """Entries, the newest first."""

    entries: tuple[EntryView, ...]


class EntryProblemView(ProblemView, frozen=True, kw_only=True, omit_defaults=True):
    """A problem with a request for an entry."""

    entry_id: Annotated[
        str,
        Meta(
            description="The key as sent; empty without a valid one.", examples=["s4-20261128-0001"]
        ),
    ] = ""


def all_orders(orders: EntryOrders) -> tuple[TrackedOrder, ...]:
    first = () if orders.entry is None else (orders.entry,)
    return (*first, *orders.stops, *orders.closes, *orders.lists, *orders.exits)
