"""Symbols of S10: a change of its instruments changes what is served, at once."""

import anyio

from chimera_s1.app.capabilities.market.configured_choice import ConfiguredChoice
from chimera_s1.app.capabilities.operations.follow_configuration import FollowConfiguration
from tests.fakes.configuration import (
    MemoryConfigurationSource,
    MemoryKeptConfiguration,
    MemoryRevisionAnnouncements,
    document,
)
from tests.time_limits import TIMEOUT_S
from tests.virtual_time import LoopClock, on_virtual_time


def following(source: MemoryConfigurationSource) -> FollowConfiguration:
    return FollowConfiguration(
        source,
        MemoryRevisionAnnouncements(),
        MemoryKeptConfiguration(),
        clock=LoopClock(),
        record=lambda *_: None,
        poll_ms=1_000,
        draw=lambda: 0.0,
        selects=True,
    )


def names(choice: ConfiguredChoice) -> list[str]:
    assert not choice.current().every
    return sorted(map(str, choice.current().named))


@on_virtual_time
async def test_the_instruments_of_the_snapshot_in_force_are_chosen() -> None:
    source = MemoryConfigurationSource()
    configuration = following(source)
    choice = ConfiguredChoice(configuration)
    await configuration.refresh()
    assert (names(choice), choice.is_known) == ([], False)

    source.served = document(1, "perp/BTCUSDT", "spot/ETHUSDT")
    await configuration.refresh()
    assert (names(choice), choice.is_known) == (["perp/BTCUSDT", "spot/ETHUSDT"], True)

    for bad in (document(2), document(2, "spot/BTCUSDC"), "connection refused"):
        source.served = bad
        await configuration.refresh()
        assert names(choice) == ["perp/BTCUSDT", "spot/ETHUSDT"]


@on_virtual_time
async def test_a_change_between_reading_and_waiting_is_not_missed() -> None:
    source = MemoryConfigurationSource(document(1, "perp/BTCUSDT"))
    configuration = following(source)
    choice = ConfiguredChoice(configuration)
    version = choice.version
    await configuration.refresh()
    with anyio.fail_after(TIMEOUT_S):
        await choice.wait_changed(version)

    version = choice.version
    await configuration.refresh()  # unchanged
    with anyio.move_on_after(1) as waiting:
        await choice.wait_changed(version)
    assert waiting.cancelled_caught
