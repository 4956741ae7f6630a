"""When instruments trade, from the venue's schedule and the registry's underlying types."""

import pytest
from msgspec import structs

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.trading_hours import TradingHours
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.trading_session import TradingSession
from tests.fakes.instrument_source import MemoryInstrumentSource
from tests.sample_instruments import BTC_PERP, registry_rows

TESLA = structs.replace(
    BTC_PERP,
    instrument=InstrumentId(Venue.PERP, Symbol("TSLAUSDT")),
    contract_type="TRADIFI_PERPETUAL",
    underlying_type="EQUITY",
)
UNKNOWN = InstrumentId(Venue.PERP, Symbol("NEWUSDT"))
SESSIONS = {
    "EQUITY": (TradingSession(0, 100, "REGULAR"), TradingSession(100, 200, "NO_TRADING")),
}


@pytest.fixture
def hours() -> TradingHours:
    catalog = InstrumentCatalog()
    catalog.put(Venue.PERP, registry_rows([BTC_PERP, TESLA]))
    return TradingHours(catalog)


async def test_a_market_is_closed_only_where_its_schedule_says_so(hours: TradingHours) -> None:
    """Crypto has no schedule, and of an instrument that is not in the registry none is known."""
    source = MemoryInstrumentSource()
    source.sessions = SESSIONS

    assert hours.is_open(TESLA.instrument, 150), "before the schedule is known"
    assert await hours.read(source) == "2 sessions of 1 underlying types"
    assert not hours.is_open(TESLA.instrument, 150)
    assert hours.is_open(TESLA.instrument, 50)
    assert hours.is_open(TESLA.instrument, 250), "after the end of the schedule"
    assert hours.is_open(BTC_PERP.instrument, 150)
    assert hours.is_open(UNKNOWN, 150)


async def test_a_schedule_holds_when_the_next_cannot_be_read(hours: TradingHours) -> None:
    source = MemoryInstrumentSource()
    source.sessions = SESSIONS
    await hours.read(source)
    source.error = ExchangeUnavailableError("no route")
    with pytest.raises(ExchangeUnavailableError):
        await hours.read(source)

    assert not hours.is_open(TESLA.instrument, 150)
