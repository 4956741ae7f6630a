"""The web application with tokens, and with a money route of the tests' own that declares what a
real one declares.
"""

from dataclasses import dataclass
from typing import Any

import httpx2
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.openapi import spec as openapi
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody
from litestar.params import JSONBody
from msgspec import Struct, structs

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import TokenRecord, make_token
from chimera_s1.domain.access.verification import Actor
from chimera_s1.domain.operations.rate_limit import RateLimit
from tests.contract.web_parts import NOW_MS, READER, READER_TOKEN, WebParts
from tests.fakes.token_store import MemoryTokenStore

TRANSFERS = "/test/transfers"


class Example(Struct):
    note: str


class ActorView(Struct):
    name: str
    kid: str


@dataclass
class TransferOperation(Operation):
    """The description of the route; each body has an example."""

    def __post_init__(self) -> None:
        shown = {"note": openapi.Example(value={"note": "rent"})}
        schema = openapi.Schema(type=OpenAPIType.OBJECT)
        content = {"application/json": OpenAPIMediaType(schema=schema, examples={**shown})}
        self.request_body = RequestBody(content=content)


class TransfersController(Controller):
    path = TRANSFERS
    opt = {"scope": Scope.TREASURY_TRANSFER}  # noqa: RUF012

    @post(operation_class=TransferOperation)
    async def make(self, data: JSONBody[Example], actor: NamedDependency[Actor]) -> ActorView:
        """Stands for a transfer."""
        assert data.note
        return ActorView(actor.name, actor.kid)


def make_test_token(
    kid: str, scope: Scope = Scope.TREASURY_TRANSFER, not_after: int | None = None
) -> tuple[str, TokenRecord]:
    return make_token(
        kid,
        kid.encode().ljust(32, b"."),
        actor="treasury-bot",
        scopes=[scope],
        created_at=0,
        not_after=not_after,
    )


GOOD_TOKEN, GOOD = make_test_token("good")
SECOND_TOKEN, SECOND = make_test_token("second")
EXPIRED_TOKEN, EXPIRED = make_test_token("expired", not_after=NOW_MS - 1)
REVOKED_TOKEN, _REVOKED = make_test_token("revoked")
REVOKED = structs.replace(_REVOKED, revoked_at=NOW_MS)
UNKNOWN_TOKEN, _ = make_test_token("unknown")
FORGED_TOKEN = GOOD_TOKEN[:-5] + "AAAAA"
TOKENS = (
    GOOD_TOKEN,
    SECOND_TOKEN,
    EXPIRED_TOKEN,
    REVOKED_TOKEN,
    UNKNOWN_TOKEN,
    FORGED_TOKEN,
    READER_TOKEN,
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def web_parts_with_tokens(*records: TokenRecord, limit: RateLimit | None = None) -> WebParts:
    """The application with tokens and the route above."""
    store = MemoryTokenStore(records or (GOOD, SECOND, EXPIRED, REVOKED, READER))
    parts = WebParts(tokens=store, limit=limit or RateLimit(per_s=20, burst=40))
    parts.app.register(TransfersController)
    return parts


def assert_problem(reply: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """*reply* as the problem (RFC 9457) it has to be."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert list(body) == ["type", "title", "status", "detail", "instance", "code"]
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/schema#{code}")
    return body
