"""The treasury's routes match their OpenAPI description, on the running service: every reply is
described, and every described reply occurs.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import httpx2
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from msgspec import Struct
from msgspec.structs import replace
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.operations.rate_limit import RateLimit
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from tests.contract.treasury_api_client import TRANSFER, UNLIMITED
from tests.contract.web_parts import Treasury, WebParts, description, serving
from tests.fakes.token_store import MemoryTokenStore
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.time_limits import TIMEOUT_S
from tests.treasury_harness import LIMITS, TreasuryHarness

ALL_TOKEN, ALL = make_token("all1", b"a" * 32, actor="all", scopes=Scope, created_at=0)
NO_TOKEN, NO = make_token(
    "orders", b"n" * 32, actor="orders", scopes=[Scope.ORDERS_TRADE], created_at=0
)
MAY = {"Authorization": f"Bearer {ALL_TOKEN}"}
MAY_NOT = {"Authorization": f"Bearer {NO_TOKEN}"}
BODY = {"from": "SPOT", "to": "FUT", "amount_usdt": 10}
EXAMPLES = 25


class Service(Struct):
    """The running service, and one that is the same but for how often an actor may ask."""

    world: TreasuryHarness
    url: str
    strict_url: str


@asynccontextmanager
async def running() -> AsyncIterator[Service]:
    world = TreasuryHarness()
    world.switches.limits = replace(LIMITS, min=Decimal("1e-8"), daily_cap=Decimal(10) ** 9)
    treasury = Treasury(world)
    tokens = MemoryTokenStore([ALL, NO])
    free = WebParts(treasury=treasury, tokens=tokens, limit=UNLIMITED)
    strict = WebParts(treasury=treasury, tokens=tokens, limit=RateLimit(per_s=1, burst=1))
    async with anyio.create_task_group() as tasks:
        treasury.start(tasks)
        async with serving(free) as server, serving(strict) as strict_server:
            yield Service(world, server.url, strict_server.url)
        tasks.cancel_scope.cancel()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running()) as started,
    ):
        yield started


class Asking:
    """Call one operation, check its reply against the description, and record its status."""

    def __init__(self, service: Service, client: httpx2.Client, method: str, path: str) -> None:
        schema = schemathesis.openapi.from_url(f"{service.url}/schema/openapi.json")
        self.service = service
        self.world = service.world
        self.method = method
        self.operation = schema[path][method]
        self.documented = set(map(int, description()["paths"][path][method.lower()]["responses"]))
        self.answered: set[int] = set()
        self.client = client

    def fuzz(self) -> None:
        """Send requests that match the description, and requests that do not."""
        for mode in GenerationMode:
            self._fuzz(mode)

    def send(self, path: str, **request: Any) -> httpx2.Response:
        """Send one thing on purpose."""
        url = request.pop("url", self.service.url)
        reply = self.client.request(self.method, f"{url}{path}", **request)
        self._note(reply.status_code)
        self.operation.validate_response(reply)
        return reply

    def refused_by_access(self, path: str, **request: Any) -> None:
        """Without a token, and with one for something else."""
        self.send(path, headers={"Authorization": ""}, **request)
        self.send(path, headers=MAY_NOT, **request)

    def without_store(self, path: str, **request: Any) -> None:
        """While the store does not answer."""
        self.world.store.unavailable = self.world.projection.unavailable = True
        try:
            self.send(path, **request)
        finally:
            self.world.store.unavailable = self.world.projection.unavailable = False

    def _fuzz(self, mode: GenerationMode) -> None:
        # That a text can be printed, that an amount has few decimals, that one of two places names
        # the key, is no JSON Schema; and in a URL a number is text like any other.
        only_url = [negative_data_rejection] if self.method == "GET" else []

        @settings(
            max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        @given(case=self.operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case[Any]) -> None:
            # The library leaves its connections open, unless the server closes them.
            headers = {**dict(case.headers or {}), **MAY, "Connection": "close"}
            reply = case.call_and_validate(
                headers=headers, excluded_checks=[positive_data_acceptance, *only_url]
            )
            self._note(reply.status_code)

        check()

    def _note(self, status: int) -> None:
        assert status in self.documented
        self.answered.add(status)


def read_one(asking: Asking) -> None:
    asking.client.post(
        f"{asking.service.url}{TRANSFER}", json=BODY, headers={"Idempotency-Key": "one"}
    )
    asking.send(f"{TRANSFER}/one")
    asking.send(f"{TRANSFER}/nobody")
    asking.send(f"{TRANSFER}/a b")
    asking.refused_by_access(f"{TRANSFER}/one")
    asking.without_store(f"{TRANSFER}/one")


def read_many(asking: Asking) -> None:
    path = "/xchg/treasury/transfers"
    asking.send(path)
    asking.send(path + "?limit=0")
    asking.refused_by_access(path)
    asking.without_store(path)


def read_limits(asking: Asking) -> None:
    path = "/xchg/treasury/limits"
    asking.send(path)
    asking.send(path + "?day=today")
    asking.refused_by_access(path)
    asking.without_store(path)


def request(asking: Asking) -> None:
    def send(key: str, **other: Any) -> httpx2.Response:
        asked = {"path": TRANSFER, "json": {**BODY, "transfer_id": key}, **other}
        return asking.send(**asked)

    assert send("a1").json()["result"] == "OK"
    assert (
        send("a2", json={**BODY, "transfer_id": "a2", "amount_usdt": "1e3"}).json()["code"]
        == "request.invalid"
    )
    assert send("a1", json={**BODY, "transfer_id": "a1", "amount_usdt": 11}).status_code == 422
    send("a3", json=None, content=b" " * 5_000)
    send("a3", json=None, content=b"{}", headers={"Content-Type": "text/plain"})
    asking.refused_by_access(TRANSFER, json=BODY)
    asking.without_store(TRANSFER, json={**BODY, "transfer_id": "a3"})
    asking.world.switches.mode = TradingMode.HALTED
    assert send("a3").json()["code"] == "mode_halted"
    asking.world.switches.mode = TradingMode.NORMAL
    for number in range(2):
        send(f"b{number}", url=asking.service.strict_url)
    asking.world.gateway.script.append(ScriptedResponse(reply=ReplyUnknown("no reply came")))
    odd = {**BODY, "transfer_id": "pending", "amount_usdt": "77.77777777"}
    assert send("pending", json=odd).json()["result"] == "PENDING"


def resolve(asking: Asking) -> None:
    def send(key: str = "open", **other: Any) -> httpx2.Response:
        verdict = {"verdict": "FAILED", "evidence": "nothing in the history"}
        asked = {"path": f"{TRANSFER}/{key}/resolve", "json": verdict, **other}
        return asking.send(**asked)

    asking.world.gateway.script.append(ScriptedResponse(reply=ReplyUnknown("no reply came")))
    body = {**BODY, "transfer_id": "open", "amount_usdt": "66.66666666"}
    asking.client.post(f"{asking.service.url}{TRANSFER}", json=body)
    asking.refused_by_access(f"{TRANSFER}/open/resolve", json={})
    asking.without_store(
        f"{TRANSFER}/open/resolve", json={"verdict": "FAILED", "evidence": "nothing was seen"}
    )
    for number in range(2):
        send(f"c{number}", url=asking.service.strict_url)
    send(json={})
    send(json=None, content=b" " * 5_000)
    send(json=None, content=b"{}", headers={"Content-Type": "text/plain"})
    assert send("missing").json()["code"] == "treasury.not_found"
    assert send().json()["code"] == "treasury.state"  # it may yet be executed
    seen = {"verdict": "DONE", "tran_id": "4711", "evidence": "it is in the history"}
    assert send(json=seen).json()["state"] == "DONE"
    assert send().json()["code"] == "treasury.state"


OPERATIONS: dict[tuple[str, str], Callable[[Asking], None]] = {
    ("POST", TRANSFER): request,
    ("GET", f"{TRANSFER}/{{transfer_id}}"): read_one,
    ("GET", "/xchg/treasury/transfers"): read_many,
    ("GET", "/xchg/treasury/limits"): read_limits,
    ("POST", f"{TRANSFER}/{{transfer_id}}/resolve"): resolve,
}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_responses_conform_to_the_description(service: Service, method: str, path: str) -> None:
    """No reply is undescribed, no request causes a 5xx, and every described reply occurs."""
    with httpx2.Client(trust_env=False, headers=MAY, timeout=TIMEOUT_S) as client:
        asking = Asking(service, client, method, path)
        asking.fuzz()
        assert not {status for status in asking.answered if status >= 500}
        OPERATIONS[method, path](asking)

    assert asking.answered == asking.documented


def test_every_route_of_the_treasury_is_asked() -> None:
    described = {
        (method.upper(), path)
        for path, item in description()["paths"].items()
        for method in item
        if path.startswith("/xchg/treasury/")
    }

    assert described == set(OPERATIONS)
