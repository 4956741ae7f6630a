"""The client's HTTP session with a server that replies with raw bytes."""

import anyio
import pytest

from chimera_s1_client import (
    HttpReply,
    HttpSession,
    InvalidArgumentError,
    NoReplyError,
    TransferClient,
    TransferPending,
    TransferRequest,
    Wallet,
)
from tests.contract.raw_http_server import ScriptedReply, http_reply, raw_http_server
from tests.time_limits import TIMEOUT_S

TOKEN = "s1_secret_token"


async def test_a_request_has_the_token_and_the_key_and_is_sent_once() -> None:
    """A redirect is not followed, and a refusal is not repeated."""
    refused = http_reply(503, b"{}", "Retry-After: 7")
    moved = http_reply(302, b"", "Location: http://127.0.0.1:1/")
    async with (
        raw_http_server(ScriptedReply(refused), ScriptedReply(moved)) as server,
        HttpSession(server.url + "/api/", TOKEN) as session,
    ):
        assert await session.send("POST", "/x", b"1", "key-1") == HttpReply(503, b"{}", 7_000)
        assert (await session.send("GET", "/y")).status == 302

    first, second = server.requests
    assert (first.target, first.body) == (b"/api/x", b"1")
    assert first.header("Authorization") == f"Bearer {TOKEN}".encode()
    assert first.header("Idempotency-Key") == b"key-1"
    assert second.target == b"/api/y"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(ScriptedReply(b""), id="no reply"),
        pytest.param(ScriptedReply(b"", "reset"), id="reset"),
        pytest.param(ScriptedReply(http_reply(200, b"{", announced=99)), id="cut"),
        pytest.param(ScriptedReply(b"SSH-2.0\r\n\r\n"), id="another protocol"),
        pytest.param(ScriptedReply(http_reply(200, b"{", announced=99), "stay"), id="stuck"),
    ],
)
async def test_an_incomplete_reply_is_an_error_that_names_the_server(script: ScriptedReply) -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with (
            raw_http_server(script) as server,
            HttpSession(server.url, TOKEN, timeout_s=0.5) as session,
        ):
            with pytest.raises(NoReplyError, match=server.url) as caught:
                await session.send("GET", "/x")
    assert TOKEN not in str(caught.value)


async def test_nothing_listens() -> None:
    async with HttpSession("http://127.0.0.1:1", TOKEN) as session:
        with pytest.raises(NoReplyError, match=r"127\.0\.0\.1:1"):
            await session.send("GET", "/x")


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("127.0.0.1:1", ""),
        ("http://me:secret@a:1", ""),
        ("http://a:1?key=secret", ""),
        ("ftp://a", ""),
        ("http://a:1", "secret\nX: y"),
        ("http://a:1", "secr\u00e9t"),
    ],
)
async def test_a_malformed_address_or_token_is_refused_and_not_shown(url: str, token: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        HttpSession(url, token)
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize("digits", [400, 5_000])
async def test_an_absurd_wait_is_a_long_one(digits: int) -> None:
    """It neither ends the call with an error that says nothing of the transfer, nor shortens it."""
    refused = ScriptedReply(http_reply(503, b"{}", f"Retry-After: {'9' * digits}"))
    async with raw_http_server(refused) as server, HttpSession(server.url) as session:
        transfer = TransferRequest(
            transfer_id="t", source=Wallet.SPOT, target=Wallet.FUT, amount_usdt="1"
        )
        result = await TransferClient(session).transfer(transfer)

    assert isinstance(result, TransferPending)
    assert len(server.requests) == 1
