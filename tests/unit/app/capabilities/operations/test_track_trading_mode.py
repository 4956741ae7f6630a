"""The trading mode follows connection events; each change is recorded."""

import pytest

from chimera_s1.app.capabilities.operations.track_trading_mode import TrackTradingMode
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.trading_mode import (
    ModeEvent,
    TradingHalted,
    TradingMode,
    TradingResumed,
)
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FatalEnded,
)
from chimera_s1.domain.ports.operations_log import EventDetail


def fatal(connection: str) -> ConnectionFatal:
    return ConnectionFatal(connection, Venue.SPOT, (), "refused", 11)


def opened(connection: str) -> ConnectionOpened:
    return ConnectionOpened(connection, Venue.SPOT, ())


def healthy(connection: str) -> FatalEnded:
    return FatalEnded(connection, Venue.SPOT)


class Tracked:
    def __init__(self) -> None:
        self.changes: list[tuple[object, object]] = []
        self.mode = TrackTradingMode(self._record)
        self.mode.apply(TradingResumed())

    def _record(self, kind: str, detail: EventDetail) -> None:
        assert kind == "mode.changed"
        self.changes.append((detail["from"], detail["to"]))


def test_a_fatal_feed_changes_the_mode_and_so_does_its_recovery() -> None:
    """Data alone is no recovery: the venue may close the socket again at once."""
    tracked = Tracked()
    tracked.mode.on_feed_event(fatal("spot-0"))
    tracked.mode.on_feed_event(opened("spot-0"))
    assert tracked.mode.mode() is TradingMode.MANAGE_ONLY
    tracked.mode.on_feed_event(healthy("spot-0"))

    assert tracked.changes == [("NORMAL", "MANAGE_ONLY"), ("MANAGE_ONLY", "NORMAL")]


def test_feed_out_of_retries_sets_manage_only() -> None:
    """One failed connection is enough."""
    tracked = Tracked()
    tracked.mode.on_feed_event(opened("spot-0"))
    tracked.mode.on_feed_event(fatal("perp-0"))
    tracked.mode.on_feed_event(fatal("perp-1"))
    tracked.mode.on_feed_event(healthy("perp-0"))

    assert tracked.mode.mode() is TradingMode.MANAGE_ONLY
    assert tracked.changes == [("NORMAL", "MANAGE_ONLY")]


def test_a_lost_connection_that_is_dialled_again_changes_nothing() -> None:
    tracked = Tracked()
    tracked.mode.on_feed_event(ConnectionLost("spot-0", Venue.SPOT, (), "reset", 1, 500.0))

    assert (tracked.mode.mode(), tracked.changes) == (TradingMode.NORMAL, [])


def test_a_halt_lasts_until_it_is_lifted() -> None:
    tracked = Tracked()
    tracked.mode.apply(TradingHalted())
    tracked.mode.on_feed_event(fatal("spot-0"))
    tracked.mode.apply(TradingResumed())

    assert tracked.changes == [("NORMAL", "HALTED"), ("HALTED", "MANAGE_ONLY")]


@pytest.mark.parametrize(
    ("found", "recorded"),
    [(TradingResumed(), []), (TradingHalted(), [("NORMAL", "HALTED")])],
)
def test_what_is_found_at_the_start_is_recorded_only_if_it_restricts(
    found: ModeEvent, recorded: list[tuple[str, str]]
) -> None:
    changes: list[tuple[object, object]] = []
    mode = TrackTradingMode(lambda _, detail: changes.append((detail["from"], detail["to"])))
    assert (mode.mode(), mode.known()) == (TradingMode.HALTED, False)

    mode.apply(found)

    assert mode.known()
    assert changes == recorded
