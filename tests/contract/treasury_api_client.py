"""Clients of the treasury's HTTP API, over the treasury in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.ledger.commit import decode_entry
from chimera_s1.domain.operations.rate_limit import RateLimit
from tests.contract.web_parts import READER, READER_TOKEN, Treasury, WebParts
from tests.fakes.token_store import MemoryTokenStore
from tests.treasury_harness import TreasuryHarness

TRANSFER = "/xchg/treasury/transfer"
UNLIMITED = RateLimit(per_s=1_000_000, burst=1_000_000)
PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "code", "result", "message"}

TRADER_TOKEN, TRADER = make_token(
    "trader",
    b"t" * 32,
    actor="treasury-bot",
    scopes=[Scope.TREASURY_TRANSFER, Scope.READ],
    created_at=0,
)
RESOLVER_TOKEN, RESOLVER = make_token(
    "resolver", b"o" * 32, actor="operator", scopes=[Scope.TREASURY_RESOLVE], created_at=0
)
TOKENS = (TRADER_TOKEN, RESOLVER_TOKEN, READER_TOKEN)


class TreasuryApiClient:
    """One web application, and a client of it that has all tokens."""

    def __init__(self, treasury: Treasury, parts: WebParts, client: httpx2.AsyncClient) -> None:
        self.treasury = treasury
        self.world = treasury.world
        self.parts = parts
        self.client = client
        self.response_texts: list[str] = []

    async def send(
        self, method: str, path: str, *, token: str | None = None, **request: Any
    ) -> httpx2.Response:
        headers = dict(request.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        reply = await self.client.request(method, path, headers=headers, **request)
        self.response_texts.append(f"{reply.headers} {reply.text}")
        return reply

    async def transfer(
        self, key: str | None = "t1", *, amount: Any = 10, token: str = TRADER_TOKEN, **fields: Any
    ) -> httpx2.Response:
        """Ask for a transfer; what differs from an ordinary one is in *fields*."""
        body = {"from": "SPOT", "to": "FUT", "amount_usdt": amount, **fields}
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.send("POST", TRANSFER, token=token, headers=headers, json=body)

    async def transfer_raw(
        self, body: bytes, *, media_type: str | None = "application/json"
    ) -> httpx2.Response:
        """Ask for a transfer with any bytes."""
        headers = {"Idempotency-Key": "t1"}
        if media_type is not None:
            headers["Content-Type"] = media_type
        return await self.send("POST", TRANSFER, token=TRADER_TOKEN, headers=headers, content=body)

    async def read(self, path: str) -> httpx2.Response:
        return await self.send("GET", f"/xchg/treasury/{path}", token=READER_TOKEN)

    async def resolve(
        self, key: str, *, token: str = RESOLVER_TOKEN, **fields: Any
    ) -> httpx2.Response:
        body = {"evidence": "seen in the exchange's own history", **fields}
        return await self.send("POST", f"{TRANSFER}/{key}/resolve", token=token, json=body)


@asynccontextmanager
async def treasury_api_client(
    world: TreasuryHarness | None = None,
    *,
    treasury: Treasury | None = None,
    start_workers: bool = True,
    limit: RateLimit = UNLIMITED,
) -> AsyncIterator[TreasuryApiClient]:
    """A web application over *world*, with executor, reconciler and projector at work, unless they
    are not wanted. No reply contains a token or a traceback.
    """
    treasury = treasury or Treasury(world)
    tokens = MemoryTokenStore([TRADER, RESOLVER, READER])
    parts = WebParts(treasury=treasury, tokens=tokens, limit=limit, only={"treasury"})
    async with anyio.create_task_group() as tasks, parts.client() as client:
        if start_workers:
            treasury.start(tasks)
        caller = TreasuryApiClient(treasury, parts, client)
        yield caller
        tasks.cancel_scope.cancel()
    said = "\n".join(caller.response_texts)
    assert not [token for token in TOKENS if token.rpartition("_")[2] in said]
    assert "Traceback" not in said


def event_types(world: TreasuryHarness) -> list[str]:
    """The type of every event in the ledger."""
    documents = sorted(world.store.contents.documents_by_seq.items())
    return [
        record.type
        for _, document in documents
        for record in decode_entry(document, "").commit.events
    ]


def count_events(world: TreasuryHarness, kind: str) -> int:
    return event_types(world).count(f"treasury.{kind}")


def assert_result(reply: httpx2.Response, status: int, expected: str) -> dict[str, Any]:
    """*reply* as the `TransferResponse` it has to be."""
    assert reply.status_code == status, reply.text
    body: dict[str, Any] = reply.json()
    assert set(body) - {"message"} == {"transfer_id", "result"}
    assert body["result"] == expected
    assert reply.headers["location"] == f"{TRANSFER}/{body['transfer_id']}"
    return body


UNCERTAIN_CODES = {"store.unavailable", "ledger.damaged", "ledger.too_new", "internal"}
"""It is unknown whether the request was accepted: after a FAIL a client would retry with another
key.
"""


def assert_problem(
    reply: httpx2.Response, status: int, code: str, says: Sequence[str] = (), key: str | None = None
) -> dict[str, Any]:
    """*reply* as the problem it has to be, which reads as a `TransferResponse` as well."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert set(body) == PROBLEM_FIELDS | ({"transfer_id"} if key is not None else set())
    assert (body["code"], body["status"], body["type"]) == (code, status, f"/schema#{code}")
    expected = "PENDING" if code in UNCERTAIN_CODES else "FAIL"
    assert (body["result"], body["message"]) == (expected, body["detail"])
    assert body.get("transfer_id") == key
    assert not [said for said in says if said not in body["message"]], body["message"]
    assert ("retry-after" in reply.headers) == (status in {429, 500, 503})
    return body
