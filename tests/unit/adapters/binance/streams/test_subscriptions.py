"""Control messages: what we ask for and what the venue can answer."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.streams.subscriptions import (
    NAMES_PER_MESSAGE,
    Acknowledged,
    ControlMessage,
    Refused,
    ShutdownAnnounced,
    Unintelligible,
    read_control,
    subscribe_messages,
)


@given(count=st.integers(0, 1024))
def test_every_stream_is_asked_for_once(count: int) -> None:
    """Requests carry all names in order, at most 200 each, with ids from 1."""
    names = [f"s{number}usdt@bookTicker" for number in range(count)]
    requests = [(n, msgspec.json.decode(text)) for n, text in subscribe_messages(names)]

    assert names == [name for _, request in requests for name in request["params"]]
    assert list(range(1, len(requests) + 1)) == [number for number, _ in requests]
    assert all(len(request["params"]) <= NAMES_PER_MESSAGE for _, request in requests)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"result":null,"id":3}', Acknowledged(3)),
        (b'{"code":2,"msg":"Invalid request","id":3}', Refused(3, 2, "Invalid request")),
        (b'{"code":3,"msg":"Invalid JSON"}', Refused(None, 3, "Invalid JSON")),
        (
            b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":7}',
            Refused(7, 4, "Too many subscriptions"),
        ),
        (b'{"e":"serverShutdown","E":1770123456789}', ShutdownAnnounced()),
        (
            b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
            ShutdownAnnounced(),
        ),
        (b'{"stream":"nobody@asked","data":{"u":1}}', Unintelligible()),
        (b"[]", Unintelligible()),
        (b"\xff\xfe", Unintelligible()),
        (b"", Unintelligible()),
    ],
)
def test_what_a_message_says(payload: bytes, message: ControlMessage) -> None:
    """Both error shapes, both shutdown shapes, and what is neither."""
    assert message == read_control(payload)


@given(payload=st.binary(max_size=300))
def test_any_bytes_have_an_answer(payload: bytes) -> None:
    """Nothing that arrives raises."""
    assert isinstance(
        read_control(payload), Acknowledged | Refused | ShutdownAnnounced | Unintelligible
    )
