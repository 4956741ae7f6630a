import anyio
import pytest

from chimera_s1.app.capabilities.operations.hold_symbols import HoldSymbols
from chimera_s1.domain.identifiers import InstrumentId
from tests.time_limits import TIMEOUT_S

BTC = InstrumentId.parse("perp/BTCUSDT")


def test_an_instrument_is_held_until_its_last_holder_releases_it() -> None:
    holds = HoldSymbols()
    for holder in ("funding", "execution", "execution"):
        holds.hold(BTC, holder)
    assert holds.held() == {BTC: "execution, funding"}

    holds.release(BTC, "execution")
    assert holds.held() == {BTC: "funding"}
    holds.release(BTC, "funding")
    assert holds.held() == {}


def test_what_changes_nothing_is_no_change() -> None:
    holds = HoldSymbols()
    holds.release(BTC, "execution")
    holds.hold(BTC, "execution")
    holds.hold(BTC, "execution")
    holds.release(BTC, "funding")

    assert holds.version == 1


async def test_a_change_ends_the_wait() -> None:
    holds = HoldSymbols()
    version = holds.version
    holds.hold(BTC, "execution")

    with anyio.fail_after(TIMEOUT_S):
        await holds.wait_changed(version)
    with pytest.raises(TimeoutError), anyio.fail_after(0):
        await holds.wait_changed(holds.version)
