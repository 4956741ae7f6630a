"""Control messages: subscribe requests and the venue's replies."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.streams.subscriptions import (
    STREAMS_PER_REQUEST,
    ControlMessage,
    RequestAcknowledged,
    RequestRefused,
    ShutdownAnnounced,
    UnreadableMessage,
    decode_control_message,
    subscribe_requests,
)


@given(count=st.integers(0, 1024))
def test_every_stream_is_subscribed_once(count: int) -> None:
    """Requests carry all names in order, at most 200 each, with ids from 1."""
    names = [f"s{number}usdt@bookTicker" for number in range(count)]
    requests = [(n, msgspec.json.decode(text)) for n, text in subscribe_requests(names)]

    assert names == [name for _, request in requests for name in request["params"]]
    assert list(range(1, len(requests) + 1)) == [number for number, _ in requests]
    assert all(len(request["params"]) <= STREAMS_PER_REQUEST for _, request in requests)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"result":null,"id":3}', RequestAcknowledged(3)),
        (b'{"code":2,"msg":"Invalid request","id":3}', RequestRefused(3, 2, "Invalid request")),
        (b'{"code":3,"msg":"Invalid JSON"}', RequestRefused(None, 3, "Invalid JSON")),
        (
            b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":7}',
            RequestRefused(7, 4, "Too many subscriptions"),
        ),
        (b'{"e":"serverShutdown","E":1770123456789}', ShutdownAnnounced()),
        (
            b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
            ShutdownAnnounced(),
        ),
        (b'{"stream":"nobody@asked","data":{"u":1}}', UnreadableMessage("nobody@asked")),
        (b"[]", UnreadableMessage()),
        (b"\xff\xfe", UnreadableMessage()),
        (b"", UnreadableMessage()),
    ],
)
def test_control_messages_are_decoded(payload: bytes, message: ControlMessage) -> None:
    """Both error shapes, both shutdown shapes, and others."""
    assert message == decode_control_message(payload)


@given(payload=st.binary(max_size=300))
def test_any_bytes_decode_to_a_control_message(payload: bytes) -> None:
    """Nothing that arrives raises."""
    assert isinstance(
        decode_control_message(payload),
        RequestAcknowledged | RequestRefused | ShutdownAnnounced | UnreadableMessage,
    )
