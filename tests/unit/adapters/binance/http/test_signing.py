"""Signatures: Binance's examples, and secrets that no text shows."""

import copy
import hashlib
import hmac
import json
import pickle
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer, encode_parameters
from chimera_s1.domain.errors import ConfigurationError

SPOT_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
FUTURES_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SPOT_ORDER = (
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("timeInForce", "GTC"),
    ("quantity", "1"),
    ("price", "0.1"),
    ("recvWindow", "5000"),
    ("timestamp", "1499827319559"),
)
FUTURES_ORDER = (
    ("symbol", "BTCUSDT"),
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("quantity", "1"),
    ("price", "9000"),
    ("timeInForce", "GTC"),
    ("recvWindow", "5000"),
    ("timestamp", "1591702613943"),
)


def signer(secret: str) -> Signer:
    return Signer(Credentials(Secret(KEY), Secret(secret)), lambda: 0.0)


@pytest.mark.parametrize(
    ("secret", "parameters", "signature"),
    [
        pytest.param(
            SPOT_SECRET,
            (("symbol", "LTCBTC"), *SPOT_ORDER),
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
            id="spot",
        ),
        pytest.param(
            SPOT_SECRET,
            (("symbol", "１２３４５６"), *SPOT_ORDER),  # noqa: RUF001 (Binance's example)
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
            id="encoded before it is signed",
        ),
        pytest.param(
            FUTURES_SECRET,
            FUTURES_ORDER,
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
            id="futures",
        ),
    ],
)
def test_signatures_are_those_of_binances_examples(
    secret: str, parameters: tuple[tuple[str, str], ...], signature: str
) -> None:
    """What is signed is what is sent, the signature last."""
    payload = encode_parameters(parameters)

    assert signer(secret).signature(payload) == signature
    assert signer(secret).sign(payload) == f"{payload}&signature={signature}".encode()


def test_query_and_body_are_signed_without_anything_between() -> None:
    """Not even an ampersand. Binance's own value is of a payload with a stray space."""
    where = dict(FUTURES_ORDER)
    query = encode_parameters(
        (name, where[name]) for name in ("symbol", "side", "type", "timeInForce")
    )
    body = encode_parameters(
        (name, where[name]) for name in ("quantity", "price", "recvWindow", "timestamp")
    )

    assert (
        signer(FUTURES_SECRET).signature(query + body)
        == "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4"
    )


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1))
def test_encoded_parameters_decode_to_the_same_and_are_url_safe(
    parameters: list[tuple[str, str]],
) -> None:
    """Only characters that no client and no proxy rewrites."""
    text = encode_parameters(parameters)

    assert parse_qsl(text, keep_blank_values=True) == parameters
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%=&")


@pytest.mark.parametrize(
    "show",
    [repr, str, format, lambda secret: f"{secret}", lambda secret: f"{[secret]} {secret!r:>9}"],
)
@pytest.mark.parametrize("whole", [False, True], ids=["secret", "credentials"])
def test_a_secret_is_not_in_any_text(show: Callable[[object], str], *, whole: bool) -> None:
    """Neither its own nor its owner's."""
    credentials = Credentials(Secret(KEY), Secret(SPOT_SECRET))
    text = show(credentials if whole else credentials.secret)

    assert SPOT_SECRET not in text
    assert KEY not in text
    assert "***" in text


@pytest.mark.parametrize(
    "encode", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode]
)
def test_a_secret_cannot_be_copied_or_encoded(encode: Callable[[object], object]) -> None:
    """In any format."""
    with pytest.raises(TypeError) as refused:
        encode(Secret(SPOT_SECRET))

    assert SPOT_SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "secret"), [("", "s"), ("with space", "s"), ("käse", "s"), ("a\r\nb", "s"), (KEY, "")]
)
def test_an_invalid_key_is_a_configuration_error(key: str, secret: str) -> None:
    """The error does not print it: it may be a secret in the wrong variable."""
    with pytest.raises(ConfigurationError) as refused:
        Credentials(Secret(key), Secret(secret))

    assert not key or key not in str(refused.value)


def test_fields_of_the_websocket_api_are_signed_sorted_and_not_encoded() -> None:
    fields = signer(SPOT_SECRET).sign_fields({"symbol": "币安USDT", "label": "a b"})

    payload = f"apiKey={KEY}&label=a b&recvWindow=5000&symbol=币安USDT&timestamp=0"
    expected = hmac.new(SPOT_SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert fields["signature"] == expected
    assert fields["timestamp"] == 0


TEXTS = st.text(st.sampled_from("aZ0_.~-=&% +/é資"), max_size=4)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_plain_and_other_parameters_are_encoded_alike(parameters: list[tuple[str, str]]) -> None:
    expected = urlencode(parameters, quote_via=quote, safe="")

    assert encode_parameters(parameters) == expected
