"""Encoding quotes as RESP, and parsing error replies."""

from functools import partial
from typing import Any, cast

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.publisher.quote_encoder import (
    QuoteEncoder,
    Redirect,
    bulk_string,
    error_reply_text,
)
from chimera_s1.adapters.redis.quote_entry import encode_quote_command
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from tests.contract.redis_cluster import key_slot

moved, ask = partial(Redirect, True), partial(Redirect, False)  # noqa: FBT003 (the names say what it is)
SENDER = RedisAddress("10.0.0.1", 7000)
prices = st.floats(min_value=1e-9, max_value=1e12)
symbols = st.sampled_from(["BTCUSDT", "1000SHIBUSDT", "币安人生USDT"])


quotes = st.builds(
    Quote,
    instrument=st.builds(InstrumentId, st.sampled_from(Venue), symbols.map(Symbol)),
    ts=st.integers(0, 10**14),
    bid=prices,
    bid_qty=prices,
    ask=prices,
    ask_qty=prices,
    source=st.sampled_from(["binance.spot.bookTicker", "replay.perp.depth5"]),
    update_id=st.integers(0, 2**63 - 1),
    received_ms=st.integers(0, 5_000) | st.integers(0, 10**14),
    entry_id=st.none() | st.builds(EntryId, st.integers(1, 10**14), st.integers(0, 9)),
)


@given(st.lists(quotes, min_size=1, max_size=5), st.sampled_from([0, 50, 300, 1000]))
def test_an_encoded_quote_equals_the_official_clients_command(
    batch: list[Quote], window: int
) -> None:
    """Also for a symbol beyond ASCII, and for windows in any order."""
    encoder = QuoteEncoder(10_000, WindowMs(window))
    for quote in batch:
        command = encode_quote_command(quote, 10_000, WindowMs(window))
        stream = f"mkt:events:{quote.instrument.venue}:{quote.instrument.symbol}"

        assert encoder.encode(quote).encode() == hiredis.pack_command(cast("Any", command))
        assert encoder[quote.instrument].slot == key_slot(stream)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MOVED 3999 127.0.0.1:6381", moved(3999, RedisAddress("127.0.0.1", 6381))),
        ("ASK 1 redis-2:7001", ask(1, RedisAddress("redis-2", 7001))),
        ("MOVED 5 ::1:7001", moved(5, RedisAddress("::1", 7001))),
        ("MOVED 5 :7001", moved(5, RedisAddress("10.0.0.1", 7001))),
        ("MOVED 5 ?:7001", moved(5, RedisAddress("10.0.0.1", 7001))),
        ("MOVED 5", None),
        ("MOVED x 127.0.0.1:1", None),
        ("CLUSTERDOWN The cluster is down", None),
        ("MOVEDX 5 127.0.0.1:1", None),
    ],
)
def test_redirects_are_parsed(text: str, expected: Redirect | None) -> None:
    """Without a host, or with an unknown one, it is another port of the sender."""
    assert Redirect.parse(text, SENDER) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NOAUTH Authentication required.", "S1_REDIS_PASS"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "S1_REDIS_PASS"),
        ("NOPERM User s1 has no permissions to run the 'client|kill' command", "S1_REDIS_USER"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM command"),
    ],
)
def test_an_error_reply_names_the_setting_to_change(text: str, expected: str) -> None:
    """Other errors keep the server's words."""
    assert expected in error_reply_text(text)


def test_bulk_string_lengths_are_in_bytes() -> None:
    """A Chinese character has three bytes."""
    assert bulk_string("币") == "$3\r\n币\r\n"
