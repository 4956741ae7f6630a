"""The OpenAPI document says what a client needs: values and bounds of each parameter and field,
what a type means, and an example of each operation that works.
"""

import json
import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anyio
import httpx2
import jsonschema_rs
import pytest
from msgspec import structs

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.identifiers import SYMBOL_PATTERN, Venue, parse_symbol
from chimera_s1.domain.market.liveness import Liveness
from tests.contract.account_in_memory import AccountInMemory
from tests.contract.treasury_api_client import TRANSFER, UNLIMITED
from tests.contract.web_parts import Treasury, WebParts, description, serving
from tests.entry_harness import EntryInstance
from tests.execution_harness import ExecutionHarness
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_instruments import registry_row
from tests.sample_quotes import entry, quote
from tests.time_limits import TIMEOUT_S

TOKEN, RECORD = make_token("all1", b"a" * 32, actor="all", scopes=Scope, created_at=0)
DOCUMENT = description()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
FIRST = {TRANSFER, "/xchg/futures/entries", "/xchg/spot/entries"}
EXAMPLE_PRICES = CurrentPrices(bid=Decimal("67403.7"), ask=Decimal("67403.8"))
WITHOUT_BODY = {"reconcile", "replay_dead_letter", "run_job", "sync_instruments"}
RULES = {"enum", "const", "pattern", "minimum", "exclusiveMinimum", "maxLength", "format"}
OPERATIONS = [
    (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]
every_operation = pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[each[2]["operationId"] for each in OPERATIONS]
)


def leaves(schema: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The values inside *schema* that have no parts, with their paths."""
    if "$ref" in schema:
        yield from leaves(SCHEMAS[schema["$ref"].rpartition("/")[2]], name)
    elif "properties" in schema:
        for field, row in schema["properties"].items():
            yield from leaves(row, f"{name}.{field}")
    elif "items" in schema:
        yield from leaves(schema["items"], f"{name}[]")
    elif parts := schema.get("allOf", schema.get("oneOf")):
        for part in parts:
            yield from leaves(part, name)
    else:
        yield name, schema


@every_operation
def test_every_value_that_is_sent_has_a_rule(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    """An enumeration, a pattern or bounds, and a description."""
    sent = [(row["name"], row["schema"]) for row in operation.get("parameters", ())]
    body = operation.get("requestBody", {"content": {}})
    sent += [("body", row["schema"]) for row in body["content"].values()]

    has_body = method == "post" and operation["operationId"] not in WITHOUT_BODY
    assert bool(body["content"]) == has_body, path
    unruled = {
        where
        for name, schema in sent
        for where, leaf in leaves(schema, name)
        if not RULES & leaf.keys() and leaf.get("type") != "boolean"
    }
    assert not unruled
    assert not [row["name"] for row in operation.get("parameters", ()) if not row["description"]]
    assert "null" not in json.dumps(operation.get("parameters", ()))


def test_every_schema_says_what_it_means() -> None:
    undescribed = {
        name for name, row in SCHEMAS.items() if len(row.get("description", "").split()) < 4
    }
    fields = {
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, row in schema.get("properties", {}).items()
        if "description" not in row and "$ref" not in row.get("items", row)
    }

    assert not undescribed
    assert not fields
    assert SCHEMAS["Wallet"]["description"].startswith("A wallet of the account")
    assert not [tag["name"] for tag in DOCUMENT["tags"] if len(tag["description"].split()) < 8]


@every_operation
def test_every_operation_has_an_example_of_its_reply(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    """It is valid by the description's own schema."""
    replies = [row for status, row in operation["responses"].items() if status.startswith("2")]

    assert replies, (method, path)
    for content in (row for reply in replies for row in reply["content"].items()):
        media_type, row = content
        if media_type == "application/json":
            schema = {**row["schema"], "components": DOCUMENT["components"]}
            jsonschema_rs.validate(schema, row["example"])
            assert "null" not in json.dumps(row["example"])


async def test_curl_lines_of_all_operations_work() -> None:
    """Sent to the running service; first what others ask about."""
    treasury = Treasury()
    account = AccountInMemory()
    one = EntryInstance(ExecutionHarness(), prices=EXAMPLE_PRICES)
    one.limits = structs.replace(one.limits, daily_cap=Decimal(5_000))
    parts = WebParts(
        treasury=treasury,
        account=account.read,
        entries=one.use_cases,
        tokens=MemoryTokenStore([RECORD]),
        limit=UNLIMITED,
    )
    parts.board.post([quote()])
    parts.venues[Venue.SPOT].put(entry("BTCUSDT", Liveness.LIVE))
    parts.catalog.put(Venue.PERP, [registry_row("perp/BTCUSDT")])
    replies: dict[str, int] = {}
    in_order = sorted(OPERATIONS, key=lambda row: row[1] not in FIRST)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            treasury.start(tasks)
            async with (
                account.reconciling(),
                serving(parts) as server,
                httpx2.AsyncClient(timeout=TIMEOUT_S) as client,
            ):
                for method, path, operation in in_order:
                    request = curl_request(client, curl_line(operation), server.url)
                    assert request.method == method.upper(), path
                    reply = await client.send(request, stream=True)
                    replies[operation["operationId"]] = reply.status_code
                    await reply.aclose()
            tasks.cancel_scope.cancel()

    assert replies.pop("resolve_transfer") == 409  # it is done: there is nothing to decide
    assert replies.keys() | {"resolve_transfer"} == {row[2]["operationId"] for row in OPERATIONS}
    assert (replies.pop("run_job"), replies.pop("request_backfill")) == (202, 202)
    for each in ("read_dead_letter", "replay_dead_letter", "drop_dead_letter"):
        assert replies.pop(each) == 404  # there is none
    assert set(replies.values()) == {200}


def curl_line(operation: dict[str, Any]) -> str:
    [line] = re.findall(r"```sh\n(curl .*)\n```", operation["description"])
    return str(line)


def curl_request(client: httpx2.AsyncClient, line: str, url: str) -> httpx2.Request:
    words = iter(shlex.split(line.replace("$S1_URL", url).replace("$S1_TOKEN", TOKEN)))
    assert next(words) == "curl"
    options = {"-X": "GET", "-d": ""}
    headers = {}
    target = ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word in options:
            options[word] = next(words)
        elif not word.startswith("-"):
            target = word
    return client.build_request(options["-X"], target, headers=headers, content=options["-d"])


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "1000SATSUSDT", "BTCUSDT_260327", "币安人生USDT", "A" * 64]
)
def test_symbols_match_their_pattern(text: str) -> None:
    assert re.fullmatch(SYMBOL_PATTERN, text)
    assert parse_symbol(text)


@pytest.mark.parametrize(
    "text", ["", "A" * 65, "A/B", "A B", "A\nB", "A:B", 'A"', "A\x1b", "A\x9b"]
)
def test_what_no_symbol_matches_is_refused(text: str) -> None:
    assert not re.fullmatch(SYMBOL_PATTERN, text)
    with pytest.raises(InvalidValueError):
        parse_symbol(text)
