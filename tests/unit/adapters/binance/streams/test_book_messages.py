"""Book frames: what Binance documents decodes, everything else is refused without an exception that
the feed does not expect.
"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.streams.book_messages import DECODE_ERRORS, DecodedTop, top_decoder
from chimera_s1.domain.identifiers import Channel, Venue

# Payloads in the shape of SPOT web-socket-streams.md and USD-M websocket-market-streams.
SPOT_BOOK_TICKER = (
    b'{"stream":"bnbusdt@bookTicker","data":{"u":400900217,"s":"BNBUSDT","b":"25.35190000",'
    b'"B":"31.21000000","a":"25.36520000","A":"40.66000000"}}'
)
PERP_BOOK_TICKER = (
    b'{"stream":"bnbusdt@bookTicker","data":{"e":"bookTicker","u":400900217,"E":1772514460893,'
    b'"T":1772514460891,"s":"BNBUSDT","ps":"BNBUSDT","b":"25.35190000","B":"31.21",'
    b'"a":"25.36520000","A":"40.66","st":1}}'
)
SPOT_DEPTH = (
    b'{"stream":"bnbbtc@depth5@100ms","data":{"lastUpdateId":160,"bids":[["0.0024","10"]],'
    b'"asks":[["0.0026","100"]]}}'
)
PERP_DEPTH = (
    b'{"stream":"btcusdt@depth5@100ms","data":{"e":"depthUpdate","E":1772514460277,'
    b'"T":1772514460276,"s":"BTCUSDT","ps":"BTCUSDT","U":390497796,"u":390497878,"pu":390497794,'
    b'"b":[["67403.80","0.002"]],"a":[["67405.90","3.340"]],"st":1}}'
)

DOCUMENTED = [
    (
        Venue.SPOT,
        Channel.BOOK_TICKER,
        SPOT_BOOK_TICKER,
        DecodedTop(
            400900217,
            None,
            "BNBUSDT",
            bid=25.3519,
            bid_qty=31.21,
            ask=25.3652,
            ask_qty=40.66,
            coin_margined=False,
        ),
    ),
    (
        Venue.PERP,
        Channel.BOOK_TICKER,
        PERP_BOOK_TICKER,
        DecodedTop(
            400900217,
            1772514460893,
            "BNBUSDT",
            bid=25.3519,
            bid_qty=31.21,
            ask=25.3652,
            ask_qty=40.66,
            coin_margined=False,
        ),
    ),
    (
        Venue.SPOT,
        Channel.DEPTH5,
        SPOT_DEPTH,
        DecodedTop(
            160, None, "", coin_margined=False, bid=0.0024, bid_qty=10.0, ask=0.0026, ask_qty=100.0
        ),
    ),
    (
        Venue.PERP,
        Channel.DEPTH5,
        PERP_DEPTH,
        DecodedTop(
            390497878,
            1772514460277,
            "BTCUSDT",
            coin_margined=False,
            bid=67403.8,
            bid_qty=0.002,
            ask=67405.9,
            ask_qty=3.34,
        ),
    ),
]


@pytest.mark.parametrize(("venue", "channel", "payload", "top"), DOCUMENTED)
def test_a_documented_frame_is_read(
    venue: Venue, channel: Channel, payload: bytes, top: DecodedTop
) -> None:
    """Each payload of Binance's pages becomes the top of book it shows."""
    assert top == top_decoder(venue, channel)(payload)


def test_a_coin_margined_row_is_recognised() -> None:
    """`st` 2 marks a COIN-M row on a shared stream."""
    payload = PERP_BOOK_TICKER.replace(b'"st":1', b'"st":2')

    assert top_decoder(Venue.PERP, Channel.BOOK_TICKER)(payload).coin_margined


def test_an_empty_side_reads_as_zero() -> None:
    """A book without bids is no error."""
    payload = PERP_DEPTH.replace(b'[["67403.80","0.002"]]', b"[]")
    top = top_decoder(Venue.PERP, Channel.DEPTH5)(payload)

    assert (top.bid, top.bid_qty) == (0.0, 0.0)


@pytest.mark.parametrize(
    "price", [b'"1_000"', b'" 25"', b'"0x19"', b'""', b"true", b"null", b"[]", b'"1e999"']
)
def test_text_that_is_no_decimal_is_refused(price: bytes) -> None:
    """Texts that Python's float() would accept, and values that are none, are refused."""
    payload = SPOT_BOOK_TICKER.replace(b'"25.35190000"', price)

    with pytest.raises(DECODE_ERRORS):
        top_decoder(Venue.SPOT, Channel.BOOK_TICKER)(payload)


def test_endless_nesting_is_refused() -> None:
    """A frame of a million brackets is a decoding error, not the end of the process."""
    payload = b'{"stream":"x","data":' + b"[" * 1_000_000

    with pytest.raises(DECODE_ERRORS):
        top_decoder(Venue.SPOT, Channel.BOOK_TICKER)(payload)


@given(payload=st.binary(max_size=200), at=st.integers(0, 200), which=st.sampled_from(DOCUMENTED))
def test_damaged_bytes_never_raise_anything_else(
    payload: bytes, at: int, which: tuple[Venue, Channel, bytes, DecodedTop]
) -> None:
    """However a frame is damaged, the decoder returns or raises what the feed expects."""
    venue, channel, good, _ = which
    damaged = good[:at] + payload + good[at + len(payload) :]
    with contextlib.suppress(*DECODE_ERRORS):
        top_decoder(venue, channel)(damaged)
