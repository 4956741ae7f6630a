"""Names of streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.redis import keys
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from tests.unit.domain.strategies import instruments


def test_names_are_those_other_services_read() -> None:
    """Word for word; a change here breaks consumers."""
    assert keys.quote_stream(InstrumentId(Venue.SPOT, Symbol("BTCUSDT"))) == (
        "mkt:events:spot:BTCUSDT"
    )
    assert keys.quote_stream(InstrumentId(Venue.PERP, Symbol("BTCUSDT"))) == (
        "mkt:events:perp:BTCUSDT"
    )
    assert keys.OPERATIONS_STREAM == "ops:events"
    assert keys.ROUND_TRIP_STREAM == "metrics:events:s1.ws_rtt"
    assert keys.ROUND_TRIP_HASH == "metrics:s1:ws_rtt"
    assert keys.THROUGHPUT_KEY == "s1.mkt_throughput"


@given(instruments)
def test_a_stream_name_names_its_instrument(instrument: InstrumentId) -> None:
    """There and back; and the name has no hash tag."""
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
def test_other_names_name_no_instrument(name: str) -> None:
    """What is beside our streams is passed over."""
    assert keys.quoted_instrument(name) is None


@given(st.text())
def test_any_key_of_a_shared_cluster_can_be_judged(name: str) -> None:
    """No name raises; what is accepted is exactly a name of ours."""
    instrument = keys.quoted_instrument(name)

    assert instrument is None or keys.quote_stream(instrument) == name
