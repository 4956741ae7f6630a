"""The contract of `ConfigurationSource`, over memory and real sockets; then the HTTP client."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import msgspec
import pytest

from chimera_s1.adapters.s10 import active_client
from chimera_s1.adapters.s10.active_client import ActiveTimeouts, HttpConfigurationSource
from chimera_s1.domain.errors import ConfigurationUnavailableError
from chimera_s1.domain.operations.active_configuration import Snapshot, judge
from chimera_s1.domain.ports.configuration_source import ConfigurationSource
from tests.contract.raw_http_server import (
    RawHttpServer,
    ScriptedReply,
    http_reply,
    raw_http_server,
)
from tests.fakes.configuration import MemoryConfigurationSource, document
from tests.time_limits import TIMEOUT_S

GOOD = document(12, "perp/BTCUSDT")
QUICK = ActiveTimeouts(connect_s=0.2, total_s=0.2)

Serving = Callable[
    [dict[str, object] | bytes | str], AbstractAsyncContextManager[ConfigurationSource]
]


@asynccontextmanager
async def memory(served: dict[str, object] | bytes | str) -> AsyncIterator[ConfigurationSource]:
    yield MemoryConfigurationSource(served)


@asynccontextmanager
async def over_http(served: dict[str, object] | bytes | str) -> AsyncIterator[ConfigurationSource]:
    if isinstance(served, str):
        reply = http_reply(503, served.encode())
    else:
        body = served if isinstance(served, bytes) else msgspec.json.encode(served)
        reply = http_reply(200, body)
    async with (
        raw_http_server(ScriptedReply(reply)) as server,
        HttpConfigurationSource(server.url) as source,
    ):
        yield source


@pytest.fixture(params=["memory", "http"])
def serving(request: pytest.FixtureRequest) -> Serving:
    return memory if request.param == "memory" else over_http


async def test_what_is_served_is_read(serving: Serving) -> None:
    async with serving(GOOD) as source:
        for _ in range(2):
            judged = judge(await source.read(), None, selects=True)
            assert isinstance(judged, Snapshot)
            assert judged.rev == 12
            assert [str(row.instrument) for row in judged.instruments] == ["perp/BTCUSDT"]


async def test_a_body_that_cannot_be_read_is_a_draft_with_problems(serving: Serving) -> None:
    async with serving(b"<html>not S10</html>") as source:
        assert (await source.read()).problems


async def test_an_error_has_the_words_of_s10(serving: Serving) -> None:
    async with serving("maintenance until 12:00") as source:
        with pytest.raises(ConfigurationUnavailableError, match="maintenance until 12:00"):
            await source.read()


@asynccontextmanager
async def client_of(
    *scripts: ScriptedReply, timeouts: ActiveTimeouts = QUICK, path: str = ""
) -> AsyncIterator[tuple[RawHttpServer, HttpConfigurationSource]]:
    async with (
        raw_http_server(*scripts) as server,
        HttpConfigurationSource(server.url + path, timeouts) as source,
    ):
        yield server, source


async def failure(source: HttpConfigurationSource) -> str:
    with anyio.fail_after(TIMEOUT_S), pytest.raises(ConfigurationUnavailableError) as raised:
        await source.read()
    return str(raised.value)


async def test_active_is_requested_below_the_base_url() -> None:
    good = ScriptedReply(http_reply(200, msgspec.json.encode(GOOD)))
    async with client_of(good, path="/s10", timeouts=ActiveTimeouts()) as (server, source):
        await source.read()
        assert server.requests[0].target == b"/s10/active"


async def test_the_same_body_gives_the_same_draft() -> None:
    good = ScriptedReply(http_reply(200, msgspec.json.encode(GOOD)))
    other = ScriptedReply(http_reply(200, msgspec.json.encode(document(13))))
    async with client_of(good, good, other, timeouts=ActiveTimeouts()) as (_, source):
        first = await source.read()
        assert await source.read() is first
        assert (await source.read()).rev == 13


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with over_http(GOOD) as source:
        assert (await source.read()).rev == 12


async def test_a_redirect_is_not_followed() -> None:
    moved = ScriptedReply(http_reply(302, b"", "Location: http://127.0.0.1:9/active"))
    async with client_of(moved) as (_, source):
        assert "replied 302" in await failure(source)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (ScriptedReply(b"", "stay"), "no complete reply within 0.2 s"),
        (ScriptedReply(http_reply(200, b'{"rev"', announced=99), "stay"), "no complete reply"),
        (ScriptedReply(http_reply(200, b'{"rev"', announced=99)), "peer closed connection"),
        (ScriptedReply(b"", "reset"), "/active: "),
        (ScriptedReply(b"SSH-2.0-OpenSSH\r\n\r\n"), "/active: "),
        (ScriptedReply(http_reply(500)), "replied 500"),
        (
            ScriptedReply(http_reply(404, b"no\x1b[2J such\npath")),
            "replied 404: no\\x1b[2J such path",
        ),
    ],
)
async def test_a_reply_that_is_missing_or_cut_is_named(script: ScriptedReply, words: str) -> None:
    async with client_of(script) as (server, source):
        assert words in await failure(source)
        assert server.requests


async def test_a_closed_port_is_named() -> None:
    async with raw_http_server(ScriptedReply()) as server:
        url = server.url
    async with HttpConfigurationSource(url, QUICK) as source:
        text = await failure(source)
    assert text.startswith(f"GET {url}/active: ")


async def test_a_body_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active_client, "BODY_BYTES_MAX", 10_000)
    endless = ScriptedReply(http_reply(200, b" " * 20_000, announced=10**9), "stay")
    async with client_of(endless, timeouts=ActiveTimeouts()) as (_, source):
        assert "replied more than 10000 bytes" in await failure(source)


async def test_it_works_again_after_a_failure() -> None:
    good = ScriptedReply(http_reply(200, msgspec.json.encode(GOOD)))
    async with client_of(ScriptedReply(b"", "reset"), good, timeouts=ActiveTimeouts()) as (
        _,
        source,
    ):
        await failure(source)
        assert (await source.read()).rev == 12
