"""Control messages get the replies of Binance's documentation, word for word."""

import orjson
import pytest

from chimera_s1.adapters.simulator.streams.control_messages import (
    STREAMS_MAX,
    ControlReply,
    SubscriptionChanges,
    reply_to,
)

UNKNOWN_METHOD = (
    b'{"code":2,"msg":"Invalid request: unknown variant SUBSCRIB, expected one of `SUBSCRIBE`, '
    b"`UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` "
    b'at line 1 column 20"}'
)


def ask(
    text: bytes, subscribed: list[str] | None = None, *, combined: bool = False
) -> ControlReply:
    return reply_to(text, subscribed=subscribed or [], combined=combined)


@pytest.mark.parametrize(
    ("request_text", "reply"),
    [
        (
            b'{"method":"SET_PROPERTY","params":["colour",true],"id":4}',
            b'{"code":0,"msg":"Unknown property","id":4}',
        ),
        (
            b'{"method":"SET_PROPERTY","params":["combined",1],"id":4}',
            b'{"code":1,"msg":"Invalid value type: expected Boolean"}',
        ),
        (
            b'{"method":"GET_PROPERTY","params":[1],"id":4}',
            b'{"code":2,"msg":"Invalid request: property name must be a string"}',
        ),
        (
            b'{"method":"SUBSCRIBE","params":["a@b"],"id":1.5}',
            b'{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}',
        ),
        (
            b'{"method":"GET_PROPERTY","params":["combined",true],"id":4}',
            b'{"code":2,"msg":"Invalid request: too many parameters"}',
        ),
        (
            b'{"method":"SUBSCRIB","params":["a@b"],"id":1}',
            UNKNOWN_METHOD,
        ),
        (b"{", b'{"code":3,"msg":"Invalid JSON: expected value at line 1 column 2"}'),
        (
            b'{"params":["a@b"],"id":1}',
            b'{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 25"}',
        ),
    ],
)
def test_invalid_messages_get_the_documented_error(request_text: bytes, reply: bytes) -> None:
    answer = ask(request_text)

    assert answer.reply == reply
    assert answer.changes == SubscriptionChanges()
    assert not answer.close


@pytest.mark.parametrize("identity", [1, "Ab-9", None])
def test_a_subscription_is_acknowledged_whatever_its_name(identity: object) -> None:
    text = orjson.dumps({"method": "SUBSCRIBE", "params": ["nonsense"], "id": identity})

    answer = ask(text)

    assert orjson.loads(answer.reply) == {"result": None, "id": identity}
    assert answer.changes.subscribe == ("nonsense",)


def test_subscriptions_are_listed() -> None:
    answer = ask(b'{"method":"LIST_SUBSCRIPTIONS","id":3}', ["a@b"])

    assert answer.reply == b'{"result":["a@b"],"id":3}'


def test_the_combined_property_is_set_and_read() -> None:
    written = ask(b'{"method":"SET_PROPERTY","params":["combined",true],"id":4}')
    read = ask(b'{"method":"GET_PROPERTY","params":["combined"],"id":5}', combined=True)

    assert written.changes.combined is True
    assert read.reply == b'{"result":true,"id":5}'


def test_a_stream_above_the_limit_is_refused_in_the_nested_shape() -> None:
    full = [f"s{n}@bookTicker" for n in range(STREAMS_MAX)]

    known = ask(b'{"method":"SUBSCRIBE","params":["s0@bookTicker"],"id":6}', full)
    refused = ask(b'{"method":"SUBSCRIBE","params":["one@more"],"id":7}', full)

    assert known.reply == b'{"result":null,"id":6}'
    assert refused.reply == b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":7}'
    assert refused.close
