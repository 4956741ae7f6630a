"""The HTTP API as its clients meet it: bodies, problems, and the description they generate code
from.
"""

import json
import logging
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import anyio
import httpx2
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.stream_limit import StreamLimit
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.liveness import Liveness
from chimera_s1.domain.market.publisher_report import PublisherReport
from tests.contract.account_in_memory import AccountInMemory
from tests.contract.treasury_api_client import UNLIMITED
from tests.contract.web_parts import (
    DESCRIPTION,
    NOW_MS,
    READER,
    READER_TOKEN,
    REDIS_GONE,
    WebParts,
    description,
)
from tests.entry_harness import EntryInstance
from tests.execution_harness import ExecutionHarness
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_quotes import TS, entry, quote

QUOTE_FIELDS = "ts symbol venue bid1 ask1 mid spread_bps top1_qty top1_usdt src state age_ms"
STATUS_FIELDS = "ts symbol venue state since cause"
BTC = InstrumentId.parse("spot/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
WITHOUT_PARAMETERS = (
    "/health",
    "/ready",
    "/metrics",
    "/xchg/status",
    "/xchg/jobs",
    "/xchg/mode",
    "/xchg/funding/backfill",
    "/xchg/positions",
    "/xchg/balances",
)
WITH_PARAMETERS = (
    "/xchg/quotes",
    "/xchg/quotes/{venue}/{symbol}",
    "/xchg/status/{venue}/{symbol}",
    "/xchg/instruments",
    "/xchg/instruments/{venue}/{symbol}",
    "/xchg/dead-letters",
    "/xchg/dead-letters/{letter_id}",
    "/xchg/funding/{symbol}",
    "/xchg/funding/gaps",
    "/xchg/funding/summary",
    "/xchg/orders/open",
    "/xchg/futures/entries",
    "/xchg/futures/entries/{entry_id}",
    "/xchg/spot/entries",
    "/xchg/spot/entries/{entry_id}",
)


@pytest.fixture
def parts() -> WebParts:
    return WebParts()


@pytest.fixture
async def client(parts: WebParts) -> AsyncIterator[httpx2.AsyncClient]:
    async with parts.client() as opened:
        yield opened


async def test_health_answers_200_and_names_problems(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """Without Redis the service is alive, answers, and reports the outage."""
    parts.redis = REDIS_GONE

    reply = await client.get("/health")

    assert reply.status_code == 200
    body = reply.json()
    assert list(body) == ["status", "mode", "shard", "version", "uptime_s", "components", "jobs"]
    assert (body["status"], body["mode"], body["shard"]) == ("RED", "NORMAL", "0/1")
    assert [(each["name"], each["level"]) for each in body["components"]] == [
        ("redis", "RED"),
        ("clock.spot", "RED"),
        ("loop", "GREEN"),
    ]
    assert list(body["components"][0]) == ["name", "level", "since", "detail"]
    assert "S1_REDIS_ADDRESSES" in body["components"][0]["detail"]


async def test_ready_while_only_optional_components_are_red(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/ready")

    assert reply.status_code == 200
    assert [each["name"] for each in reply.json()["components"]] == ["clock.spot"]


async def test_not_ready_names_red_components_and_remedies(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.redis = REDIS_GONE

    reply = await client.get("/ready")

    assert reply.status_code == 503
    assert reply.headers["content-type"] == "application/problem+json"
    assert int(reply.headers["retry-after"]) > 0
    body = reply.json()
    assert body["code"] == "service.not_ready"
    assert body["detail"].startswith("redis: Redis does not accept writes (connection refused)")
    assert "clock" not in body["detail"]
    assert [each["name"] for each in body["components"]] == ["redis", "clock.spot"]


async def test_metrics_are_passed_through(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/metrics")

    assert reply.content == b"s1_example 1.0\n"
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_a_quote_is_named_as_on_its_stream(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.board.post([quote()])

    reply = await client.get("/xchg/quotes/spot/btcusdt")

    assert reply.status_code == 200
    body = reply.json()
    assert " ".join(body) == QUOTE_FIELDS
    assert body["ts"] == TS
    assert (body["venue"], body["symbol"]) == ("spot", "BTCUSDT")
    assert (body["bid1"], body["top1_qty"]) == (67403.8, 1.25)
    assert body["ask1"] == pytest.approx(67403.9)
    assert body["mid"] == pytest.approx(67403.85)
    assert body["spread_bps"] == pytest.approx(0.1 / 67403.85 * 1e4)
    assert body["top1_usdt"] == pytest.approx(1.25 * 67403.85)
    assert body["src"] == "binance.spot.bookTicker"


async def test_a_quote_says_that_its_stream_is_blind_and_how_old_it_is(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """By its own entry of `mkt:status`; alone and in the list. 24 s after it was received nothing
    else shows that it is not fresh.
    """
    parts.board.post([quote(ts=NOW_MS), quote("spot/ETHUSDT", ts=NOW_MS)])
    for name in ("BTCUSDT", "ETHUSDT"):
        parts.venues[Venue.SPOT].put(entry(name, Liveness.LIVE, NOW_MS))
    fresh = (await client.get("/xchg/quotes/spot/BTCUSDT")).json()
    await parts.clock.advance(24_000)
    parts.venues[Venue.SPOT].put(entry("BTCUSDT", Liveness.BLIND, NOW_MS + 3_000))

    stale = (await client.get("/xchg/quotes/spot/BTCUSDT")).json()
    listed = (await client.get("/xchg/quotes")).json()["quotes"]

    assert (fresh["state"], fresh["age_ms"]) == ("LIVE", 0)
    assert (stale["state"], stale["age_ms"]) == ("BLIND", 24_000)
    assert [(row["symbol"], row["state"]) for row in listed] == [
        ("BTCUSDT", "BLIND"),
        ("ETHUSDT", "LIVE"),
    ]


async def test_a_quote_before_the_first_state_is_unknown_and_never_live(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.status.select([BTC])
    parts.board.post([quote()])

    shown = (await client.get("/xchg/quotes/spot/BTCUSDT")).json()
    status = (await client.get("/xchg/status/spot/BTCUSDT")).json()

    assert shown["state"] == "UNKNOWN"
    assert shown["age_ms"] == 0, "a clock that was set back gives no negative age"
    assert " ".join(status) == STATUS_FIELDS
    assert (status["state"], status["ts"], status["since"]) == ("UNKNOWN", NOW_MS, NOW_MS)
    assert status["cause"] == "no message of a connection that carries it yet"


async def test_the_status_is_that_of_the_stream(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """Connections first, then each instrument, in which what concerns its connection counts."""
    parts.status.select([ETH, BTC])
    parts.venues[Venue.SPOT].put(
        entry("BTCUSDT", Liveness.LIVE, 1),
        entry("ETHUSDT", Liveness.STALE, 2, "binance.spot.bookTicker: gone: not listed"),
        entry("*", Liveness.GAP, 3, "spot-0: cut"),
        entry("*", Liveness.LATE, 4, "spot-0: quotes arrive 3.0 s after their event"),
    )

    body = (await client.get("/xchg/status")).json()
    one = (await client.get("/xchg/status/spot/btcusdt")).json()

    assert (body["publishing"], body["publisher"]) == (True, "")
    assert [(row["symbol"], row["state"], row["ts"]) for row in body["statuses"]] == [
        ("*", "GAP", 3),
        ("*", "LATE", 4),
        ("BTCUSDT", "LATE", 4),
        ("ETHUSDT", "STALE", 2),
    ]
    assert body["statuses"][2] == one | {"symbol": "BTCUSDT"}
    assert one["cause"] == "spot-0: quotes arrive 3.0 s after their event"


async def test_a_standby_says_which_instance_publishes(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """Its states are those of its own connections, whose quotes it shows."""
    parts.publisher = PublisherReport(publishing=False, lease="a-lease", other="host-b:7")

    body = (await client.get("/xchg/status")).json()

    assert body == {"publishing": False, "publisher": "host-b:7", "statuses": []}


async def test_an_instrument_that_is_gone_has_no_quote(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """Its last quote is not shown as if it were alive; the answer says why."""
    gone = quote()
    parts.board.post([gone, quote("spot/ETHUSDT")])
    parts.board.withdraw([gone.instrument], "the venue does not list it any more")

    reply = await client.get("/xchg/quotes/spot/BTCUSDT")
    listed = (await client.get("/xchg/quotes")).json()["quotes"]

    assert (reply.status_code, reply.json()["code"]) == (410, "quotes.gone")
    assert reply.json()["detail"].endswith("the venue does not list it any more")
    assert [row["symbol"] for row in listed] == ["ETHUSDT"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["perp/BTCUSDT", "spot/BTCUSDT", "spot/ETHUSDT"]),
        ("?venue=spot", ["spot/BTCUSDT", "spot/ETHUSDT"]),
        ("?symbol=btcusdt", ["perp/BTCUSDT", "spot/BTCUSDT"]),
        ("?venue=spot&symbol=BTCUSDT,ETHUSDT", ["spot/BTCUSDT", "spot/ETHUSDT"]),
        ("?venue=spot&symbol=BTCUSDT&symbol=ETHUSDT", ["spot/BTCUSDT", "spot/ETHUSDT"]),
        ("?symbol=DOGEUSDT", []),
    ],
)
async def test_quotes_are_listed_by_venue_and_symbols(
    parts: WebParts, client: httpx2.AsyncClient, query: str, expected: list[str]
) -> None:
    parts.board.post([quote(name) for name in ("spot/BTCUSDT", "spot/ETHUSDT", "perp/BTCUSDT")])

    body = (await client.get(f"/xchg/quotes{query}")).json()

    assert [f"{row['venue']}/{row['symbol']}" for row in body["quotes"]] == expected


@pytest.mark.parametrize(
    ("request_line", "status", "code", "message"),
    [
        ("GET /xchg/quotes/spot/FOO", 404, "quotes.unknown", "add it to S1_SYMBOLS"),
        ("GET /xchg/quotes/margin/BTCUSDT", 400, "request.invalid", "venue: "),
        ("GET /xchg/quotes/spot/B%20T", 400, "value.invalid", "'B T' is not a symbol"),
        ("GET /xchg/quotes?venue=margin", 400, "request.invalid", "venue: "),
        ("GET /xchg/quotes?symbol=", 400, "value.invalid", "'' is not a symbol"),
        ("GET /xchg/quotes?symbol=" + "A," * 200 + "A", 400, "value.invalid", "201 symbols"),
        ("GET /xchg/quotes/stream?symbol=B:T", 400, "value.invalid", "'B:T' is not a symbol"),
        ("GET /xchg/status/spot/FOO", 404, "status.unknown", "another shard serves it"),
        ("GET /xchg/status/spot", 404, "http.not_found", "see /schema"),
        ("GET /nothing", 404, "http.not_found", "see /schema"),
        ("GET /schema/nothing", 404, "http.not_found", "see /schema"),
        ("POST /health", 405, "http.method_not_allowed", "does not support POST"),
        ("DELETE /xchg/quotes", 405, "http.method_not_allowed", "does not support DELETE"),
    ],
)
async def test_failed_request_is_a_problem(
    client: httpx2.AsyncClient, request_line: str, status: int, code: str, message: str
) -> None:
    """Our refusals and the framework's have one shape (RFC 9457) and name the mistake."""
    method, path = request_line.split(" ")

    reply = await client.request(method, path)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert list(body) == ["type", "title", "status", "detail", "instance", "code"]
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/schema#{code}")
    assert message in body["detail"]
    assert body["instance"] == path.partition("?")[0]


async def test_wrong_method_gets_the_allow_header(client: httpx2.AsyncClient) -> None:
    reply = await client.post("/health")

    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


async def test_internal_error_is_logged_and_hidden_from_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client gets a generic error; the traceback is only in the log."""

    def fail() -> bytes:
        raise RuntimeError("the secret inside")

    async with WebParts(render_metrics=fail).client() as client:
        reply = await client.get("/metrics")

    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "internal"
    assert "secret" not in reply.text
    assert "Traceback" not in reply.text
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == "GET /metrics failed"
    assert record.exc_info is not None
    assert "the secret inside" in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("limit", "closed", "status", "code"),
    [
        (StreamLimit(total=0), False, 503, "quotes.too_many_subscribers"),
        (StreamLimit(per_actor=0), False, 429, "quotes.too_many_of_actor"),
        (StreamLimit(), True, 503, "service.stopping"),
    ],
)
async def test_refused_stream_gets_retry_after(
    limit: StreamLimit, *, closed: bool, status: int, code: str
) -> None:
    parts = WebParts(QuoteBoard(limit))
    if closed:
        parts.board.close()

    async with parts.client() as client:
        reply = await client.get("/xchg/quotes/stream")

    assert reply.status_code == status
    assert int(reply.headers["retry-after"]) > 0
    assert reply.json()["code"] == code


async def test_openapi_document_is_the_committed_one() -> None:
    """A change of the API shows in the diff of a committed file."""
    reviewed = json.loads(DESCRIPTION.read_text(encoding="utf-8"))

    assert description() == reviewed, (
        "the API's description changed; if that is intended, rewrite it with "
        "`python -m tests.contract.web_parts` and commit tests/contract/openapi.json"
    )


async def test_the_description_is_served_to_programs(client: httpx2.AsyncClient) -> None:
    served = (await client.get("/schema/openapi.json")).json()

    del served["info"]["version"]
    assert served == description()


class Nesting(HTMLParser):
    """The elements in which a block begins although they hold text only."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 (the parser's)
        if "p" in self._open and tag in {"p", "pre", "table", "h3"}:
            self.wrong.append(f"{tag} in p, line {self.getpos()[0]}")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass


async def test_the_page_for_people_is_well_formed_and_names_values(
    client: httpx2.AsyncClient,
) -> None:
    page = (await client.get("/schema")).text

    nesting = Nesting()
    nesting.feed(page)
    assert nesting.wrong == []
    assert "<td><code>from</code></td><td>SPOT or FUT</td>" in page
    assert "At least 1. At most 500." in page
    assert "any" not in re.findall(r"<td>([^<]*)</td>", page)


async def test_the_description_is_a_page_for_people(client: httpx2.AsyncClient) -> None:
    """Every operation, body and problem is on it, and nothing on it comes from elsewhere."""
    reply = await client.get("/schema")

    document = description()
    operations = [
        each["operationId"] for item in document["paths"].values() for each in item.values()
    ]
    problems = [kind.code for kind in WebParts().app.state.problem_table.kinds]
    for name in (*operations, *document["components"]["schemas"], *problems):
        assert f'id="{name}"' in reply.text
    assert "<script" not in reply.text
    assert "://" not in reply.text
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.fixture(scope="module")
def schema() -> Any:
    account = AccountInMemory()
    anyio.run(account.reconcile_once)
    tokens = MemoryTokenStore([READER])
    parts = WebParts(
        tokens=tokens,
        account=account.read,
        entries=EntryInstance(ExecutionHarness()).use_cases,
        limit=UNLIMITED,
    )
    parts.board.post([quote()])
    return schemathesis.openapi.from_asgi("/schema/openapi.json", parts.app)


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        *((path, GenerationMode.POSITIVE) for path in (*WITHOUT_PARAMETERS, *WITH_PARAMETERS)),
        *((path, GenerationMode.NEGATIVE) for path in WITH_PARAMETERS),
    ],
)
def test_api_conforms_to_its_description(schema: Any, path: str, mode: GenerationMode) -> None:
    """Whatever is sent, the reply is one that is described, and never a 5xx; and without the token
    that is described as needed, it is a 401.
    """
    answered: list[int] = []

    @settings(max_examples=25, deadline=None)
    @given(case=schema[path]["GET"].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        # What a symbol may be (any printable letter, few marks) is no JSON Schema, and in a query
        # a number is text like any other: neither mode can know here what will be refused.
        reply = case.call_and_validate(
            headers={"Authorization": f"Bearer {READER_TOKEN}"},
            excluded_checks=[positive_data_acceptance, negative_data_rejection],
        )
        answered.append(reply.status_code)

    check()

    assert answered


def test_every_operation_is_fuzzed() -> None:
    """All but the stream, which has no end to wait for; its parameters are those of the list. The
    treasury's are in a module of their own.
    """
    paths = set(description()["paths"])
    assert {path for path in paths if not path.startswith("/xchg/treasury/")} == {
        *WITHOUT_PARAMETERS,
        *WITH_PARAMETERS,
        "/xchg/quotes/stream",
        "/xchg/instruments/sync",
        "/xchg/reconcile",
        "/xchg/futures/entries/{entry_id}/cancel",
        "/xchg/spot/entries/{entry_id}/cancel",
        "/xchg/jobs/{job_name}/run",
        "/xchg/dead-letters/{letter_id}/replay",
    }


async def test_every_link_of_the_start_page_leads_somewhere(client: httpx2.AsyncClient) -> None:
    page = await client.get("/")
    paths = re.findall(r'href="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert len(paths) == 4
    for path in paths:
        assert (await client.get(path)).status_code in {200, 503}, path
