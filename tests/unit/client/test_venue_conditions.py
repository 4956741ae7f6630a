"""The condition of an instrument, from the entries of its venue's status stream."""

import pytest

from chimera_s1_client.quote import State
from chimera_s1_client.venue_conditions import GAPS_MAX, VenueConditions

LOST = "spot-0: connection lost"


def conditions(*entries: tuple[int, str, str, str]) -> VenueConditions:
    """Of entries `(ts, symbol, state, cause)` whose `since` is 100 for gaps, else their ts."""
    found = VenueConditions()
    for ts, symbol, state, cause in entries:
        since = 100 if state in {"GAP", "RESUMED"} else ts
        fields = {"ts": ts, "symbol": symbol, "state": state, "since": since, "cause": cause}
        found.record({name: str(value) for name, value in fields.items()})
    return found


LIVE = (50, "BTCUSDT", "LIVE", "binance.spot.bookTicker: updates arrive")


@pytest.mark.parametrize(
    ("entries", "newest_ts", "state"),
    [
        ([], 1, State.UNKNOWN),
        ([LIVE], 1, State.LIVE),
        ([LIVE, (60, "BTCUSDT", "STALE", "x")], 1, State.STALE),
        ([LIVE, (60, "ETHUSDT", "STALE", "x")], 1, State.LIVE),
        ([LIVE, (60, "BTCUSDT", "FROZEN", "x")], 1, "FROZEN"),
        ([LIVE, (60, "*", "GAP", LOST)], 60, State.GAP),
        ([LIVE, (60, "*", "GAP", LOST)], 61, State.LIVE),
        ([LIVE, (60, "*", "GAP", LOST), (70, "*", "RESUMED", LOST)], 60, State.LIVE),
        ([LIVE, (60, "*", "GAP", LOST), (70, "*", "RESUMED", "spot-1: lost")], 60, State.GAP),
        ([LIVE, (60, "*", "DEGRADED", "spot-0: 9 of 9 frames")], 99, State.DEGRADED),
        ([LIVE, (60, "*", "LATE", "spot-0: x"), (70, "*", "LIVE", "spot-1: y")], 99, State.LATE),
        ([LIVE, (60, "*", "LATE", "spot-0: x"), (70, "*", "LIVE", "spot-0: y")], 99, State.LIVE),
        (
            [(50, "BTCUSDT", "BLIND", "x"), (60, "*", "LATE", "spot-0: x")],
            99,
            State.BLIND,
        ),
    ],
    ids=str,
)
def test_the_worst_that_concerns_the_instrument_counts(
    entries: list[tuple[int, str, str, str]], newest_ts: int, state: str
) -> None:
    assert conditions(*entries).of("BTCUSDT", newest_ts).state == state


def test_only_live_and_quiet_are_trusted() -> None:
    states = [*State, "FROZEN"]
    found = [conditions((1, "A", each, "x")).of("A", 9) for each in states if each != "GAP"]

    assert {each.state for each in found if each.trusted} == {"LIVE", "QUIET"}


def test_gaps_that_are_never_closed_are_bounded() -> None:
    """A service that was killed closes none."""
    entries = [(60, "*", "GAP", f"spot-{n}: lost") for n in range(GAPS_MAX + 5)]
    found = conditions(LIVE, *entries)
    found_after = conditions(
        LIVE, *entries, *((70, "*", "RESUMED", f"spot-{n}: lost") for n in range(5, GAPS_MAX + 5))
    )

    assert found.of("BTCUSDT", 60).state == "GAP"
    assert found_after.of("BTCUSDT", 60).state == "LIVE"
