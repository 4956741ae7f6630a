"""Parsing S1_REDIS_ADDRESSES."""

import pytest

from chimera_s1.adapters.redis.addresses import RedisAddress, parse_addresses
from chimera_s1.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:7001", [("127.0.0.1", 7001)]),
        (" redis-0:6379 , redis-1:6380,", [("redis-0", 6379), ("redis-1", 6380)]),
        ("[::1]:7000", [("::1", 7000)]),
        ("a:1,a:1,b:65535", [("a", 1), ("b", 65535)]),
    ],
)
def test_a_list_of_addresses_is_parsed(text: str, expected: list[tuple[str, int]]) -> None:
    """Blanks and duplicates are ignored; the order is kept."""
    assert parse_addresses(text) == tuple(RedisAddress(host, port) for host, port in expected)


@pytest.mark.parametrize("text", ["127.0.0.1:7001", "[::1]:7000", "redis-0:6379"])
def test_an_address_prints_as_it_was_written(text: str) -> None:
    assert str(parse_addresses(text)[0]) == text


@pytest.mark.parametrize(
    "text",
    [
        "", " , ", "localhost", "localhost:", ":6379", "h:0", "h:65536", "h:-1", "h:six", "h:²",
        "::1:7000", "redis://h:6379", "h:6379/0", "[]:1",
    ],
)  # fmt: skip
def test_an_invalid_list_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match="S1_REDIS_ADDRESSES") as caught:
        parse_addresses(text)

    assert ":6379" in str(caught.value) or "65535" in str(caught.value)


def test_a_password_in_the_list_is_not_repeated() -> None:
    """A pasted URL may contain credentials."""
    with pytest.raises(ConfigurationError) as caught:
        parse_addresses("redis://user:hunter2@h:6379")

    assert "hunter2" not in str(caught.value)
