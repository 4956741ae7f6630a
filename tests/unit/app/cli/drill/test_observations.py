"""Each sign is found from the given time on, and is not mistaken for another."""

import pytest

from chimera_s1.app.cli.drill.observations import (
    Observations,
    ObservedHealth,
    ObservedOperation,
    ObservedStatus,
)
from chimera_s1.app.cli.drill.quote_checks import ObservedQuote
from chimera_s1.app.cli.drill.signs import (
    AnySign,
    DroppedSign,
    LevelSign,
    ObservedSign,
    OperationsSign,
    QuotesSign,
    StatusSign,
    find_signs,
)
from chimera_s1.domain.identifiers import InstrumentId

SPOT, PERP = InstrumentId.parse("spot/BTCUSDT"), InstrumentId.parse("perp/BTCUSDT")
START = 1_700_000_000_000


def quote(ts: int) -> ObservedQuote:
    return ObservedQuote(ts + 100, ts + 110, ts, 1, 2, 1.5, 1, 1, 1)


def every_second(first: int, last: int) -> list[ObservedQuote]:
    return [quote(START + number * 1_000 + 500) for number in range(first, last)]


SEEN = Observations(
    quotes={SPOT: [quote(START + 100), quote(START + 900)], PERP: [quote(START + 400)]},
    status=[
        ObservedStatus(START + 10, "perp", "*", "GAP"),
        ObservedStatus(START + 20, "spot", "ETHUSDT", "STALE"),
        ObservedStatus(START + 30, "spot", "BTCUSDT", "STALE"),
    ],
    operations=[
        ObservedOperation(START + 5, "ws.opened", "spot"),
        ObservedOperation(START + 7, "ws.lost", "spot"),
        ObservedOperation(START + 8, "ws.lost", "perp"),
    ],
    health=[
        ObservedHealth(START - 5, levels={"redis": "GREEN"}, dropped={"spot": 3.0}),
        ObservedHealth(START + 40, levels={"redis": "GREEN"}, dropped={"spot": 3.0, "perp": 0.0}),
        ObservedHealth(START + 50, levels={"redis": "RED"}, dropped={"spot": 4.0}),
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
def test_signs_are_found_with_their_time(groups: tuple[AnySign, ...], at: int | None) -> None:
    """One sign of each group is enough; every group is needed; the last one counts."""
    found = find_signs(SEEN, groups, START, (SPOT, PERP))

    assert (found and found.at_ms) == (at and START + at)


def test_earlier_signs_do_not_count() -> None:
    sign = ((OperationsSign("spot", "ws.lost"),),)

    assert find_signs(SEEN, sign, START + 7, ()) is None
    assert find_signs(SEEN, sign, START + 6, ()) == ObservedSign(START + 7, "ops:events ws.lost")


def test_a_quote_received_before_the_fault_is_not_recovery() -> None:
    """Received before the fault, written after it."""
    found = find_signs(SEEN, ((QuotesSign("spot"),),), START + 150, (SPOT,))

    assert found == ObservedSign(START + 1_000, "quotes on all streams")
    assert find_signs(SEEN, ((QuotesSign(),),), START + 450, (SPOT, PERP)) is None


def test_lost_connections_are_counted() -> None:
    assert [SEEN.connections_lost(START + at) for at in (0, 7, 8)] == [2, 1, 0]


def test_instruments_with_a_quote_in_every_window_are_stable() -> None:
    seen = Observations(quotes={SPOT: every_second(0, 8), PERP: every_second(0, 8)})

    assert seen.stable_instruments(START + 8_200) == (SPOT, PERP)


def test_no_instrument_is_stable_while_one_is_recovering() -> None:
    """It misses windows and has a recent quote."""
    gone = [*every_second(0, 3), *every_second(6, 8)]
    seen = Observations(quotes={SPOT: every_second(0, 8), PERP: gone})

    assert seen.stable_instruments(START + 8_200) == ()


def test_an_instrument_without_recent_quotes_is_ignored() -> None:
    seen = Observations(quotes={SPOT: every_second(0, 30), PERP: every_second(0, 3)})

    assert seen.stable_instruments(START + 30_200) == (SPOT,)
