"""Names of streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.redis import keys
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from tests.unit.domain.strategies import instruments


def test_stream_and_key_names_are_those_that_consumers_read() -> None:
    """A change breaks consumers."""
    assert keys.quote_stream(InstrumentId(Venue.SPOT, Symbol("BTCUSDT"))) == (
        "mkt:events:spot:BTCUSDT"
    )
    assert keys.quote_stream(InstrumentId(Venue.PERP, Symbol("BTCUSDT"))) == (
        "mkt:events:perp:BTCUSDT"
    )
    assert keys.funding_stream(Symbol("BTCUSDT")) == "mkt:events:funding:BTCUSDT"
    assert keys.OPERATIONS_STREAM == "ops:events"
    assert keys.ROUND_TRIP_STREAM == "metrics:events:s1.ws_rtt"
    assert keys.ROUND_TRIP_HASH == "metrics:s1:ws_rtt"
    assert keys.THROUGHPUT_KEY == "s1.mkt_throughput"


@given(instruments)
def test_a_stream_name_parses_back_to_its_instrument(instrument: InstrumentId) -> None:
    """The name has no hash tag."""
    stream = keys.quote_stream(instrument)

    assert keys.quoted_instrument(stream) == instrument
    assert "{" not in stream


@pytest.mark.parametrize(
    "name",
    [
        "mkt:events:funding:BTCUSDT", "mkt:events:spot:", "mkt:events:spot:btcusdt",
        "mkt:events:spot:A:B", "spot:BTCUSDT", "ops:events", "mkt:status:spot", "",
    ],
)  # fmt: skip
def test_other_names_have_no_instrument(name: str) -> None:
    assert keys.quoted_instrument(name) is None


@given(st.text())
def test_parsing_any_key_never_raises(name: str) -> None:
    """Exactly the names of quote streams are accepted."""
    instrument = keys.quoted_instrument(name)

    assert instrument is None or keys.quote_stream(instrument) == name
