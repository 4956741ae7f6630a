"""A venue is SILENT when the service has written nothing about it for long. (No state is read.)"""

from chimera_s1_client.quote import VENUES, Instrument
from chimera_s1_client.status_reader import StatusReader
from tests.virtual_time import EPOCH_MS, LoopClock, on_virtual_time

SPOT, PERP = Instrument.parse("spot/BTCUSDT"), Instrument.parse("perp/BTCUSDT")


def reader() -> StatusReader:
    return StatusReader(VENUES, 10.0, LoopClock().now_ms)


def states(status: StatusReader) -> list[str]:
    return [status.condition(each, 0).state for each in (SPOT, PERP)]


@on_virtual_time
async def test_a_venue_is_silent_until_something_is_written_and_when_nothing_is() -> None:
    status = reader()
    assert states(status) == ["SILENT", "SILENT"]

    status.hear("spot", f"{EPOCH_MS}-0", first=False)
    assert states(status) == ["UNREADABLE", "SILENT"]
    await LoopClock().sleep_ms(9_900)
    assert states(status) == ["UNREADABLE", "SILENT"]
    await LoopClock().sleep_ms(200)
    assert states(status) == ["SILENT", "SILENT"]


@on_virtual_time
async def test_what_was_written_before_the_start_is_as_old_as_its_id() -> None:
    """Later entries count from their arrival: the clocks of two machines may differ."""
    status = reader()
    status.hear("spot", f"{EPOCH_MS - 9_000}-0", first=True)
    status.hear("perp", f"{EPOCH_MS - 11_000}-0", first=True)
    assert states(status) == ["UNREADABLE", "SILENT"]

    status.hear("perp", f"{EPOCH_MS - 11_000}-0", first=False)
    assert states(status) == ["UNREADABLE", "UNREADABLE"]
