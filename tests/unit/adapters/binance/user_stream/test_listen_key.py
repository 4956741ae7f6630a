"""The listen key is kept alive, and replaced when it is gone."""

from collections.abc import AsyncIterator

import anyio
import pytest

from chimera_s1.adapters.binance.user_stream.listen_key import (
    KEEP_ALIVE_MS,
    RETRY,
    VALIDITY_MS,
    ListenKey,
)
from chimera_s1.adapters.binance.user_stream.perp_stream import UrlForm, UrlForms
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    PortError,
)
from tests.fakes.manual_clock import ManualClock, settle


class ScriptedRequests:
    """Implements `ListenKeyRequests`: first raises what is in *opens* and *extends*."""

    def __init__(self) -> None:
        self.key = "k1"
        self.opens: list[PortError] = []
        self.extends: list[PortError] = []
        self.asked: list[str] = []

    async def open(self) -> str:
        self.asked.append("open")
        return self._reply(self.opens)

    async def extend(self) -> str:
        self.asked.append("extend")
        return self._reply(self.extends)

    def _reply(self, errors: list[PortError]) -> str:
        if errors:
            raise errors.pop(0)
        return self.key


class Kept:
    """A key that is open and kept alive."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.requests = ScriptedRequests()
        self.key = ListenKey(self.requests, self.clock)
        self.lost: list[str] = []

    async def advance(self, duration_ms: float) -> None:
        await self.clock.advance(duration_ms)
        await settle()


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    kept = Kept()
    async with anyio.create_task_group() as tasks:
        await kept.key.open()
        tasks.start_soon(kept.key.keep_alive, kept.lost.append)
        await settle()
        yield kept
        tasks.cancel_scope.cancel()


async def test_the_key_is_extended_every_30_minutes(kept: Kept) -> None:
    await kept.advance(KEEP_ALIVE_MS - 1)
    assert kept.requests.asked == ["open"]
    await kept.advance(1)
    await kept.advance(KEEP_ALIVE_MS)

    assert kept.requests.asked == ["open", "extend", "extend"]
    assert kept.lost == []


async def test_a_dial_in_between_extends_it_too(kept: Kept) -> None:
    await kept.advance(KEEP_ALIVE_MS / 2)
    await kept.key.open()
    await kept.advance(KEEP_ALIVE_MS - 1)
    assert kept.requests.asked == ["open", "open"]
    await kept.advance(1)

    assert kept.requests.asked == ["open", "open", "extend"]


async def test_a_keep_alive_that_fails_is_repeated_and_shown(kept: Kept) -> None:
    kept.requests.extends = [ExchangeUnavailableError("replied 500")] * 2
    await kept.advance(KEEP_ALIVE_MS)
    assert kept.key.problem == "the listenKey was not extended: replied 500"
    await kept.advance(RETRY.wait_ms(0, 0) + RETRY.wait_ms(1, 0))

    assert kept.requests.asked == ["open", "extend", "extend", "extend"]
    assert kept.key.problem == ""
    assert kept.lost == []


async def test_a_refused_extension_is_no_loss_where_the_key_is_still_the_same(kept: Kept) -> None:
    kept.requests.extends = [ExchangeRefusedError("replied 400 -1125")]
    await kept.advance(KEEP_ALIVE_MS)

    assert kept.requests.asked == ["open", "extend", "open"]
    assert kept.lost == []


async def test_another_key_needs_another_connection_and_is_opened_by_its_dial(kept: Kept) -> None:
    kept.requests.extends = [ExchangeRefusedError("replied 400 -1125")]
    kept.requests.key = "k2"
    await kept.advance(KEEP_ALIVE_MS)
    assert kept.lost == ["the exchange has another listenKey now"]
    await kept.advance(VALIDITY_MS)
    assert kept.requests.asked == ["open", "extend", "open"]
    await kept.key.open()
    await kept.advance(KEEP_ALIVE_MS)

    assert kept.requests.asked[3:] == ["open", "extend"]
    assert kept.key.is_current("k2")


async def test_a_key_that_could_not_be_extended_in_time_is_lost(kept: Kept) -> None:
    kept.requests.extends = [ExchangeUnavailableError("no reply")] * 100
    await kept.advance(VALIDITY_MS - 1)
    assert kept.lost == []
    await kept.advance(RETRY.max_wait_ms + 1)

    assert kept.lost == ["the listenKey was not extended: no reply"]
    assert not kept.key.is_current("k1")


def test_the_form_of_the_url_changes_after_one_deaf_connection() -> None:
    forms, seen = UrlForms(), []
    for _ in range(2):
        forms.was_deaf()
        seen.append(forms.current)

    assert seen == [UrlForm.PATH, UrlForm.QUERY]


def test_a_form_that_has_delivered_is_left_after_two_deaf_connections() -> None:
    forms, seen = UrlForms(), []
    for delivers in (True, True, False):
        if delivers:
            forms.delivered(UrlForm.QUERY)
        forms.was_deaf()
        seen.append(forms.current)

    assert seen == [UrlForm.QUERY, UrlForm.QUERY, UrlForm.PATH]


def test_the_query_form_names_the_events_and_the_path_form_the_key_alone() -> None:
    assert UrlForm.QUERY.url("wss://x", "k") == (
        "wss://x/private/ws?listenKey=k&events=ORDER_TRADE_UPDATE/ALGO_UPDATE/ACCOUNT_UPDATE/"
        "ACCOUNT_CONFIG_UPDATE/MARGIN_CALL/listenKeyExpired"
    )
    assert UrlForm.PATH.url("wss://x", "k") == "wss://x/private/ws/k"
