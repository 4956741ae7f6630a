"""Whatever goes wrong on the way: once it is quiet, our picture is what the exchange has.

The use cases of two processes on one ledger, and the simulator's desks as the exchange. `make
soak-orders` runs many more scenarios, and lets time pass where a person asks for a reconciliation
here.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera_s1.domain.execution.order_request import Side
from chimera_s1.domain.identifiers import Venue
from tests.load.model_desks import Fault, Trouble
from tests.load.orders_model import violations
from tests.load.orders_scenario import UNKNOWN_PREFIX, USED_AGAIN, Step, scenario

SPOT, PERP, BUY, SELL = Venue.SPOT, Venue.PERP, Side.BUY, Side.SELL
LAG = ("lag", (4_990,))
LONG = ("wait", (9_000,))


def place(
    venue: Venue, kind: str, fault: Fault = Fault.NONE, *, side: Side = BUY, process: int = 0
) -> Step:
    return "place", (process, venue, kind, side, fault)


def cancel(fault: Fault = Fault.NONE) -> Step:
    return "cancel", (0, 0, fault)


def wait(duration_ms: int) -> Step:
    return "wait", (duration_ms,)


def move(venue: Venue, percent: int) -> Step:
    return "move", (venue, percent)


def streams(venue: Venue, what: str) -> tuple[Step, Step]:
    """Of both processes."""
    return ("stream", (0, venue, what)), ("stream", (1, venue, what))


def foreign(kind: str, prefix: str = "web_") -> Step:
    return "foreign", (PERP, kind, BUY, prefix)


NAMED: dict[str, tuple[tuple[Step, ...], tuple[str, ...]]] = {
    **{
        f"every kind of order, {fault.value}": (
            (
                place(SPOT, "limit", fault),
                place(SPOT, "market", fault),
                place(SPOT, "oco", fault, side=SELL),
                place(PERP, "market", fault),
                place(PERP, "stop", fault, side=SELL),
                LONG,
            ),
            (fault,),
        )
        for fault in Fault
        if fault is not Fault.NONE
    },
    "503, then filled a minute later": (
        (place(PERP, "market", Fault.EXECUTED_LATE), place(SPOT, "market", Fault.EXECUTED_LATE)),
        (Fault.EXECUTED_LATE,),
    ),
    "replies are swapped": (
        (place(PERP, "limit", Fault.SLOW_REPLY), place(PERP, "limit"), LONG),
        (Trouble.REPLIES_SWAPPED,),
    ),
    "a fill comes before the acknowledgement": (
        (place(PERP, "market", Fault.SLOW_REPLY), place(SPOT, "ioc", Fault.SLOW_REPLY), LONG),
        (Trouble.FILL_BEFORE_REPLY,),
    ),
    "a cancel is answered -2011 although the order is filled": (
        (
            place(PERP, "limit"),
            wait(9_000),
            *streams(PERP, "lose"),
            LAG,
            move(PERP, 97),
            cancel(),
            LONG,
        ),
        (Trouble.EVENT_LOST,),
    ),
    "an algo order triggers while its events are lost": (
        (
            place(PERP, "stop", side=SELL),
            wait(2_500),
            *streams(PERP, "cut"),
            ("behave", ("child_takes_client_id", False)),
            move(PERP, 97),
            wait(400),
            *streams(PERP, "mend"),
            LONG,
        ),
        (Trouble.TRIGGERED, Trouble.STREAM_CUT),
    ),
    "an order list triggers while the stream is deaf": (
        (
            place(SPOT, "oco", side=SELL),
            wait(2_500),
            *streams(SPOT, "deaf"),
            move(SPOT, 97),
            LONG,
        ),
        (Trouble.STREAM_DEAF,),
    ),
    "events are repeated and overtaken": (
        (
            *streams(SPOT, "repeat"),
            *streams(SPOT, "delay"),
            place(SPOT, "market"),
            place(SPOT, "market", side=SELL, process=1),
            LONG,
        ),
        (Trouble.EVENT_TWICE, Trouble.EVENT_LATE),
    ),
    "queries lag behind a lost reply": (
        (
            LAG,
            *streams(PERP, "lose"),
            place(PERP, "limit", Fault.REPLY_LOST),
            place(PERP, "limit"),
            LONG,
            cancel(),
            LONG,
        ),
        (Trouble.HIDDEN, Fault.REPLY_LOST),
    ),
    "the process is killed while queries lag": (
        (
            LAG,
            *streams(PERP, "cut"),
            *streams(SPOT, "cut"),
            place(PERP, "limit", Fault.SLOW_REPLY),
            place(SPOT, "limit", Fault.SLOW_REPLY),
            wait(30),
            ("crash", (0, 0)),
            LONG,
        ),
        (Trouble.CRASH_WHILE_SENDING, Trouble.HIDDEN),
    ),
    "a trade is read before its order is known": (
        (
            *streams(PERP, "cut"),
            place(PERP, "market", Fault.REPLY_LOST),
            wait(2_500),
            *streams(PERP, "mend"),
            LONG,
        ),
        (Trouble.STREAM_CUT, Fault.REPLY_LOST),
    ),
    "reads fail": (
        (("reads fail", ()), place(PERP, "limit"), place(SPOT, "market"), LONG),
        (Trouble.READ_FAILED,),
    ),
    "the store and Redis fail": (
        (
            ("append uncertain", (0,)),
            place(PERP, "market"),
            ("append uncertain", (1,)),
            place(PERP, "market", process=1),
            ("redis down", ()),
            place(PERP, "market"),
            wait(400),
            ("store down", (0,)),
            ("store down", (1,)),
            foreign("MARKET"),
            LONG,
        ),
        (Trouble.APPEND_UNCERTAIN, Trouble.STORE_DOWN, Trouble.PUBLISH_FAILED),
    ),
    **{
        f"the process is killed at step {steps} of an order": (
            (
                place(PERP, "market", Fault.REPLY_LOST),
                wait(30),
                ("crash", (0, steps)),
                place(SPOT, "market"),
                place(PERP, "stop", side=SELL),
                LONG,
            ),
            (Trouble.CRASH, Trouble.CRASH_WHILE_SENDING),
        )
        for steps in (0, 3, 5, 8)
    },
    "others trade, cancel ours, and use our ids": (
        (
            place(PERP, "limit"),
            place(PERP, "stop", side=SELL),
            wait(2_500),
            cancel(),
            ("foreign cancel", (PERP, 0)),
            LONG,
            cancel(),
            LONG,
            foreign("MARKET"),
            foreign("LIMIT", UNKNOWN_PREFIX),
            foreign("MARKET", USED_AGAIN),
            LONG,
        ),
        (Trouble.FOREIGN_FILL, Trouble.FOREIGN_WITH_OUR_PREFIX, Trouble.ID_USED_AGAIN),
    ),
    "others cancel an order of ours": (
        (place(PERP, "limit"), wait(400), ("foreign cancel", (PERP, 0)), LONG),
        (Trouble.FOREIGN_CANCEL,),
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_picture_agrees_with_the_books_after(name: str) -> None:
    steps, expected = NAMED[name]
    counts: Counter[str] = Counter()
    assert violations(0, steps, counts=counts) == []
    assert [fault for fault in expected if not counts[fault]] == []


def test_every_fault_of_the_model_has_a_named_scenario() -> None:
    named = {fault for _, expected in NAMED.values() for fault in expected}
    assert named == {*Fault, *Trouble} - {Fault.NONE}


@st.composite
def scenarios(draw: st.DrawFn) -> list[Step]:
    length = draw(st.integers(5, 25))
    return scenario(lambda options: draw(st.sampled_from(options)), length)


@settings(max_examples=5)
@given(scenarios())
def test_the_picture_agrees_with_the_books_after_any_scenario(steps: list[Step]) -> None:
    assert violations(0, steps) == []
