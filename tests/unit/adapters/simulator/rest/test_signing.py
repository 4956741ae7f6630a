"""A signature covers the bytes as sent; a timestamp is neither too old nor in the future."""

from urllib.parse import quote

import pytest

from chimera_s1.adapters.simulator.config import DEMO_KEY, ApiKey
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.signing import (
    RawRequest,
    SignedRequest,
    signature_of,
    verify,
)

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = ApiKey("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A", SECRET)
AT = 1_499_827_319_559
ORDER = b"side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
TIMED = ORDER + b"&timestamp=%d" % AT


def sent(query: bytes = b"", body: bytes = b"", key: str = KEY.key, at: int = AT) -> RawRequest:
    return RawRequest(key, query, body, at)


def signed(payload: bytes) -> bytes:
    return b"&signature=" + signature_of(SECRET, payload).encode()


def refusal(request: RawRequest) -> tuple[int, int]:
    with pytest.raises(BinanceError) as caught:
        verify(request, KEY)
    return caught.value.code, caught.value.status


@pytest.mark.parametrize(
    ("secret", "payload", "signature"),
    [
        (
            SECRET,
            "symbol=LTCBTC&" + TIMED.decode(),
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            SECRET,
            f"symbol={quote('１２３４５６')}&" + TIMED.decode(),  # noqa: RUF001  # Binance's own example
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
        (
            "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
            (
                "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
                "&recvWindow=5000&timestamp=1591702613943"
            ),
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
        ),
        (
            "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
            (
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
                "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
            ),
            "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4",
        ),
    ],
)
def test_signatures_match_the_examples_of_binance(
    secret: str, payload: str, signature: str
) -> None:
    assert signature_of(secret, payload.encode()) == signature


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (TIMED + signed(TIMED), b""),
        (b"", TIMED + signed(TIMED)),
        (b"symbol=LTCBTC", TIMED + signed(b"symbol=LTCBTC" + TIMED)),
        (b"symbol=LTCBTC" + signed(b"symbol=LTCBTC" + TIMED), TIMED),
        (TIMED + signed(TIMED).upper().replace(b"SIGNATURE", b"signature"), b""),
    ],
    ids=["query", "body", "both", "signature in the query", "upper case"],
)
def test_query_and_body_are_signed_as_one_without_a_separator(query: bytes, body: bytes) -> None:
    assert verify(sent(query, body), KEY).parameters["price"] == "0.1"


def test_the_query_overrides_the_body() -> None:
    request = sent(b"a=1", b"a=2&" + TIMED + signed(b"a=1" + b"a=2&" + TIMED))

    assert verify(request, KEY).parameters["a"] == "1"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (TIMED + b"&signature=" + b"0" * 64, b""),
        (TIMED.replace(b"quantity=1", b"quantity=2") + signed(TIMED), b""),
        (b"symbol=LTCBTC", TIMED + signed(b"symbol=LTCBTC&" + TIMED)),
        (TIMED + signed(TIMED) + b"&a=1", b""),
        (b"e=a@b.c&" + TIMED + signed(b"e=a@b.c&" + TIMED), b""),
        (TIMED + signed(TIMED), signed(TIMED)[1:]),
        (TIMED + b"&signature=%C3%A4", b""),
    ],
    ids=["wrong", "changed", "joined by &", "not last", "not encoded", "twice", "no hex"],
)
def test_any_other_signature_is_refused(query: bytes, body: bytes) -> None:
    assert refusal(sent(query, body)) == (-1022, 400)


@pytest.mark.parametrize(
    ("request_sent", "expected"),
    [
        (sent(TIMED, key=""), (-2014, 401)),
        (sent(TIMED, key="no key"), (-2014, 401)),
        (sent(TIMED, key=DEMO_KEY.key), (-2015, 401)),
        (sent(ORDER), (-1102, 400)),
        (sent(b"timestamp="), (-1102, 400)),
        (sent(b"timestamp=now"), (-1100, 400)),
        (sent(TIMED), (-1102, 400)),
        (sent(b"timestamp=1&recvWindow=60001"), (-1131, 400)),
        (sent(b"timestamp=1&recvWindow=5e3"), (-1100, 400)),
    ],
)
def test_missing_and_illegal_parameters_have_their_code(
    request_sent: RawRequest, expected: tuple[int, int]
) -> None:
    assert refusal(request_sent) == expected


def test_a_request_is_valid_from_one_second_early_to_the_end_of_its_window() -> None:
    request = SignedRequest({}, AT, 5000)

    request.check_time(AT - 999)
    request.check_time(AT + 5000)
    with pytest.raises(BinanceError, match="1000ms ahead of the server's time"):
        request.check_time(AT - 1000)
    with pytest.raises(BinanceError, match="outside of the recvWindow"):
        request.check_time(AT + 5001)


def test_the_time_of_arrival_is_checked() -> None:
    assert refusal(sent(TIMED + signed(TIMED), at=AT + 5001)) == (-1021, 400)


def test_the_repr_of_a_key_omits_the_secret() -> None:
    assert SECRET not in repr(KEY)
