"""`/xchg/mode` and `chimera-s1 mode`: what they show, what they refuse, what they write."""

from typing import Any

import httpx2
import pytest

from chimera_s1.domain.access.scopes import Scope
from tests.contract.web_parts import NOW_MS, READER, READER_TOKEN, WebParts
from tests.contract.web_with_tokens import make_test_token
from tests.fakes.token_store import MemoryTokenStore

PATH = "/xchg/mode"
HALTER_TOKEN, HALTER = make_test_token("halter", Scope.MODE_HALT)
TRADER_TOKEN, TRADER = make_test_token("trader", Scope.ORDERS_TRADE)


class Desk:
    def __init__(self) -> None:
        self.parts = WebParts(tokens=MemoryTokenStore([HALTER, TRADER, READER]), only={"mode"})

    async def post(self, body: Any, token: str = HALTER_TOKEN) -> httpx2.Response:
        async with self.parts.client() as client:
            return await client.post(PATH, json=body, headers={"Authorization": f"Bearer {token}"})

    async def get(self) -> dict[str, Any]:
        async with self.parts.client() as client:
            reply = await client.get(PATH, headers={"Authorization": f"Bearer {READER_TOKEN}"})
        shown: dict[str, Any] = reply.raise_for_status().json()
        return shown


async def test_a_halt_is_shown_with_its_reason_and_actor_until_it_is_resumed() -> None:
    desk = Desk()
    await desk.parts.halt.refresh()
    shown = await desk.get()
    assert (shown["mode"], shown["halted"], shown["since"]) == ("NORMAL", False, 0)
    assert shown["kill_switch"] == "unknown"
    assert "kill switch" in shown["transfers_refused"]

    halted = await desk.post({"halted": True, "reason": "odd fills"})
    assert halted.status_code == 200
    assert halted.json() == await desk.get()
    expected = {
        "mode": "HALTED",
        "halted": True,
        "reason": "odd fills",
        "actor": "treasury-bot/halter",
        "since": NOW_MS,
    }
    assert {name: halted.json()[name] for name in expected} == expected

    again = await desk.post({"halted": True, "reason": "another reason"})
    assert (again.status_code, again.json()) == (200, halted.json())

    resumed = await desk.post({"halted": False, "reason": "explained"})
    assert resumed.json()["mode"] == "NORMAL"
    assert (await desk.get())["reason"] == "explained"


async def test_the_mode_is_unknown_until_the_store_was_read() -> None:
    shown = await Desk().get()

    assert (shown["mode"], shown["halted"]) == ("HALTED", None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"halted": "yes", "reason": "x"}, "halted is a text; send true or false"),
        ({"halted": 1, "reason": "x"}, "halted is a number; send true or false"),
        ({"reason": "x"}, "halted is missing"),
        ({"halted": True}, "reason is missing"),
        ({"halted": True, "reason": ""}, "reason has 0 characters"),
        ({"halted": True, "reason": "   "}, "reason has only spaces"),
        ({"halted": True, "reason": "x" * 201}, "reason has 201 characters; send 1 to 200"),
        ({"halted": True, "reason": "a\nb"}, "cannot be printed"),
        ({"halted": True, "reason": "x", "mode": "NORMAL"}, "mode is unknown; remove it"),
        ([], "send one object"),
    ],
)
async def test_a_wrong_body_says_what_to_send_and_changes_nothing(
    body: Any,
    words: str,
) -> None:
    desk = Desk()
    refused = await desk.post(body)

    assert (refused.status_code, refused.json()["code"]) == (400, "request.invalid")
    assert words in refused.json()["detail"]
    assert desk.parts.halt.engine.head.seq == 0


@pytest.mark.parametrize("token", [READER_TOKEN, TRADER_TOKEN])
async def test_only_its_own_scope_may_halt(token: str) -> None:
    refused = await Desk().post({"halted": True, "reason": "x"}, token)

    assert (refused.status_code, refused.json()["code"]) == (403, "access.scope")


async def test_without_the_store_nothing_is_said_to_be_halted() -> None:
    desk = Desk()
    await desk.parts.halt.refresh()
    desk.parts.halt_store.unavailable = True

    refused = await desk.post({"halted": True, "reason": "x"})

    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert (await desk.get())["halted"] is False
