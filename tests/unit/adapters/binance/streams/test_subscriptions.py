"""Control messages: subscribe requests and the venue's replies."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.streams.subscriptions import (
    REPEATS_MAX,
    STREAMS_PER_REQUEST,
    ControlMessage,
    RequestAcknowledged,
    RequestRefused,
    ShutdownAnnounced,
    SubscriptionRequests,
    UnreadableMessage,
    decode_control_message,
)


def all_requests(requests: SubscriptionRequests) -> Iterator[tuple[int, list[str]]]:
    """The id and the names of each request, while there is one."""
    while (text := requests.next_request()) is not None:
        request = msgspec.json.decode(text)
        yield request["id"], request["params"]


@given(count=st.integers(0, 1024))
def test_every_stream_is_subscribed_once(count: int) -> None:
    """Requests carry all names in order, at most 200 each, with ids from 1."""
    names = [f"s{number}usdt@bookTicker" for number in range(count)]
    requests = SubscriptionRequests(names)
    sent = list(all_requests(requests))

    assert names == [name for _, params in sent for name in params]
    assert list(range(1, len(sent) + 1)) == [number for number, _ in sent]
    assert all(len(params) <= STREAMS_PER_REQUEST for _, params in sent)
    assert requests.unacknowledged == len(sent)


@given(st.integers(0, 450), st.sets(st.integers(0, 449), max_size=9))
def test_only_the_names_that_the_venue_refuses_are_left_out(count: int, odd: set[int]) -> None:
    """The venue refuses a whole request for one name in it."""
    names = [f"s{number}usdt@bookTicker" for number in range(count)]
    refused = {names[number] for number in odd if number < count}
    requests = SubscriptionRequests(names)
    accepted: list[str] = []
    reported: list[str] = []
    for number, params in all_requests(requests):
        if refused.isdisjoint(params):
            accepted += params
            requests.acknowledge(number)
        elif name := requests.refuse(number):
            reported.append(name)

    assert sorted(accepted) == sorted(set(names) - refused)
    assert sorted(reported) == sorted(refused)
    assert (requests.accepted, requests.unacknowledged) == (len(accepted), 0)


def test_a_reply_to_no_request_changes_nothing() -> None:
    requests = SubscriptionRequests(["a@bookTicker"])
    requests.acknowledge(7)

    assert requests.refuse(7) == ""
    assert requests.accepted == 1


def sent(requests: SubscriptionRequests) -> list[tuple[str, list[str]]]:
    """Method and names of each request, while there is one."""
    found: list[tuple[str, list[str]]] = []
    while (text := requests.next_request()) is not None:
        request = msgspec.json.decode(text)
        found.append((request["method"], request["params"]))
    return found


def test_a_change_is_unsubscribed_before_it_is_subscribed() -> None:
    """The venue counts the streams of a connection at any moment: at most 1024."""
    requests = SubscriptionRequests(["a", "b"])
    sent(requests)
    requests.change(add=["c"], remove=["a"])

    assert sent(requests) == [("UNSUBSCRIBE", ["a"]), ("SUBSCRIBE", ["c"])]
    assert requests.accepted == 2


def test_a_name_that_is_removed_before_it_was_sent_is_not_subscribed() -> None:
    requests = SubscriptionRequests(["a", "b"])
    requests.change(add=[], remove=["a"])

    assert sent(requests) == [("SUBSCRIBE", ["b"]), ("UNSUBSCRIBE", ["a"])]


def test_a_late_refusal_says_nothing_of_a_stream_that_was_removed() -> None:
    requests = SubscriptionRequests(["a", "b"])
    sent(requests)
    requests.change(add=["c"], remove=[])
    sent(requests)
    requests.change(add=[], remove=["c"])

    assert requests.refuse(2) == ""
    assert requests.accepted == 2


def test_a_late_refusal_does_not_drop_a_stream_that_was_added_again() -> None:
    """Its own request decides."""
    requests = SubscriptionRequests(["a"])
    sent(requests)
    requests.change(add=["c"], remove=[])
    sent(requests)
    requests.change(add=[], remove=["c"])
    requests.change(add=["c"], remove=[])

    assert requests.refuse(2) == ""
    assert sent(requests) == [("SUBSCRIBE", ["c"])]
    assert (requests.refuse(3), requests.accepted) == ("c", 1)


def test_a_request_without_a_reply_is_sent_again() -> None:
    """Twice; then the streams are judged by what they deliver."""
    requests = SubscriptionRequests([])
    requests.change(add=["a"], remove=[])
    times = 0
    for _ in range(5):
        times += len(sent(requests))
        requests.repeat_overdue()
        assert sent(requests) == [], "it was repeated without a wait"
        requests.repeat_overdue()

    assert times == 1 + REPEATS_MAX


def test_an_acknowledged_request_is_not_sent_again() -> None:
    requests = SubscriptionRequests(["a"])
    sent(requests)
    requests.acknowledge(1)
    for _ in range(2):
        requests.repeat_overdue()

    assert (sent(requests), requests.unacknowledged) == ([], 0)


@given(st.data())
def test_what_the_venue_has_subscribed_is_what_is_wanted(data: st.DataObject) -> None:
    """Whatever changes, and whichever requests are lost: each is repeated with what still holds."""
    wanted: set[str] = set()
    subscribed: set[str] = set()
    requests = SubscriptionRequests([])
    for _ in range(data.draw(st.integers(1, 4))):
        after = data.draw(st.sets(st.sampled_from("abcdef")))
        requests.change(add=sorted(after - wanted), remove=sorted(wanted - after))
        wanted = after
        for lossy in (True, False):
            while (text := requests.next_request()) is not None:
                request = msgspec.json.decode(text)
                if lossy and data.draw(st.booleans()):
                    continue
                change = subscribed.update if request["method"] == "SUBSCRIBE" else None
                (change or subscribed.difference_update)(request["params"])
                requests.acknowledge(request["id"])
            requests.repeat_overdue()
            requests.repeat_overdue()

    assert subscribed == wanted
    assert requests.unacknowledged == 0


def test_a_refused_unsubscribe_is_not_repeated() -> None:
    requests = SubscriptionRequests(["a"])
    requests.change(add=["b"], remove=["a"])
    sent(requests)

    assert requests.refuse(1) == ""
    assert sent(requests) == []


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
