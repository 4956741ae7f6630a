"""Each sign is found where it is, from the moment it is asked for, and no other is taken for it."""

import pytest

from chimera_s1.app.cli.drill.drill import (
    AnySign,
    DroppedSign,
    LevelSign,
    OperationsSign,
    QuotesSign,
    StatusSign,
)
from chimera_s1.app.cli.drill.observations import Observations, ObservedSign
from chimera_s1.app.cli.drill.observed import (
    ObservedHealth,
    ObservedOperation,
    ObservedQuote,
    ObservedStatus,
)
from chimera_s1.domain.identifiers import InstrumentId

SPOT, PERP = InstrumentId.parse("spot/BTCUSDT"), InstrumentId.parse("perp/BTCUSDT")
START = 1_700_000_000_000


def quote(ts: int) -> ObservedQuote:
    return ObservedQuote(ts + 100, ts, 1, 2, 1.5, 1, 1, 1)


def every_second(first: int, last: int) -> list[ObservedQuote]:
    return [quote(START + number * 1_000 + 500) for number in range(first, last)]


RECORD = Observations(
    quotes={SPOT: [quote(START + 100), quote(START + 900)], PERP: [quote(START + 400)]},
    status=[
        ObservedStatus(START + 10, "perp", "*", "GAP", "cut"),
        ObservedStatus(START + 20, "spot", "ETHUSDT", "STALE", ""),
        ObservedStatus(START + 30, "spot", "BTCUSDT", "STALE", ""),
    ],
    operations=[
        ObservedOperation(START + 5, "ws.opened", "spot", ""),
        ObservedOperation(START + 7, "ws.lost", "spot", ""),
        ObservedOperation(START + 8, "ws.lost", "perp", ""),
    ],
    health=[
        ObservedHealth(START - 5, ready=True, levels={"redis": "GREEN"}, dropped={"spot": 3.0}),
        ObservedHealth(
            START + 40, ready=True, levels={"redis": "GREEN"}, dropped={"spot": 3.0, "perp": 0.0}
        ),
        ObservedHealth(START + 50, ready=False, levels={"redis": "RED"}, dropped={"spot": 4.0}),
    ],
)


@pytest.mark.parametrize(
    ("groups", "at"),
    [
        (((StatusSign("spot", ("STALE",)),),), 20),
        (((StatusSign("spot", ("STALE",), "BTCUSDT"),),), 30),
        (((StatusSign("spot", ("GAP",)),),), None),
        (((OperationsSign("spot", "ws.lost"),),), 7),
        (((OperationsSign("spot", "ws.renewed"),),), None),
        (((LevelSign("redis", ("ORANGE", "RED")),),), 50),
        (((LevelSign("loop", ("RED",)),),), None),
        (((DroppedSign("spot"),),), 50),
        (((DroppedSign("perp"),),), None),
        (((QuotesSign("spot"),),), 200),
        (((QuotesSign(),),), 500),
        (((StatusSign("spot", ("STALE",)), OperationsSign("spot", "ws.lost")),), 7),
        (((OperationsSign("spot", "ws.lost"),), (OperationsSign("perp", "ws.lost"),)), 8),
        (((OperationsSign("spot", "ws.lost"),), (OperationsSign("perp", "ws.fatal"),)), None),
    ],
)
def test_signs_are_found_when_they_were_seen(groups: tuple[AnySign, ...], at: int | None) -> None:
    """One of a group is enough, each group is needed, the last one counts."""
    found = RECORD.first_signs(groups, START, (SPOT, PERP))

    assert (found and found.at_ms) == (at and START + at)


def test_what_was_seen_before_does_not_count() -> None:
    sign = ((OperationsSign("spot", "ws.lost"),),)

    assert RECORD.first_signs(sign, START + 7, ()) is None
    assert RECORD.first_signs(sign, START + 6, ()) == ObservedSign(START + 7, "ops:events ws.lost")


def test_a_quote_that_was_true_before_is_no_sign_of_life() -> None:
    """It was received before the fault and written after it."""
    found = RECORD.first_signs(((QuotesSign("spot"),),), START + 150, (SPOT,))

    assert found == ObservedSign(START + 1_000, "quotes on all streams")
    assert RECORD.first_signs(((QuotesSign(),),), START + 450, (SPOT, PERP)) is None


def test_lost_connections_are_counted() -> None:
    assert [RECORD.connections_lost(START + at) for at in (0, 7, 8)] == [2, 1, 0]


def test_the_baseline_are_all_that_quote_in_every_window() -> None:
    record = Observations(quotes={SPOT: every_second(0, 8), PERP: every_second(0, 8)})

    assert record.baseline(START + 8_200) == (SPOT, PERP)


def test_there_is_no_baseline_while_one_is_still_coming_back() -> None:
    """It lacks windows and had a quote lately."""
    gone = [*every_second(0, 3), *every_second(6, 8)]
    record = Observations(quotes={SPOT: every_second(0, 8), PERP: gone})

    assert record.baseline(START + 8_200) == ()


def test_an_instrument_that_never_quotes_is_not_waited_for() -> None:
    record = Observations(quotes={SPOT: every_second(0, 30), PERP: every_second(0, 3)})

    assert record.baseline(START + 30_200) == (SPOT,)
