"""`/xchg/instruments`: pages, filters, entity tags."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest
from msgspec import structs

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import RegistryRow
from chimera_s1.domain.instruments.registry_document import row_document
from chimera_s1.domain.operations.active_configuration import RiskLimits
from tests.contract.web_parts import WebParts
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_instruments import BRACKETS, registry_row, with_content

CHINESE = "perp/币安人生USDT"
ROWS = (
    registry_row("perp/BTCUSDT"),
    registry_row("perp/BTCUSDC", quote_asset="USDC"),
    registry_row("perp/OLDUSDT", status="SETTLING"),
    registry_row("perp/TSLAUSDT", contract_type="TRADIFI_PERPETUAL"),
    registry_row(CHINESE),
    registry_row("spot/BTCUSDT"),
)


@pytest.fixture
def parts() -> WebParts:
    made = WebParts(only={"instruments"})
    fill(made, ROWS)
    return made


@pytest.fixture
async def client(parts: WebParts) -> AsyncIterator[httpx2.AsyncClient]:
    async with parts.client() as opened:
        yield opened


def fill(parts: WebParts, rows: tuple[RegistryRow, ...]) -> None:
    for venue in Venue:
        parts.catalog.put(venue, [row for row in rows if row.instrument.venue is venue])


def names(body: dict[str, Any]) -> list[str]:
    return [f"{each['venue']}/{each['symbol']}" for each in body["instruments"]]


async def test_an_instrument_reads_like_the_registry(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """Decimals are exact and in their shortest form; the venue's words and filters are kept."""
    risk = RiskLimits(rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20_000.0)
    added = {"leverage_brackets": BRACKETS, "funding_interval_h": 8, "risk": risk}
    fill(parts, (with_content(registry_row("perp/BTCUSDT", max_qty=None), **added),))

    body = (await client.get("/xchg/instruments/perp/btcusdt")).json()

    assert (body["tick_size"], body["step_size"], body["max_qty"]) == ("0.1", "0.001", None)
    assert body["filters"] == [
        {"filterType": "PRICE_FILTER", "maxPrice": "4529764", "minPrice": "556.80"}
    ]
    assert body["risk"] == {"rev": 12, "spread_bp_limit": 5.0, "depth_top1_usdt_min": 20000.0}
    brackets = body["leverage_brackets"]
    assert (brackets["account"], brackets["notional_coef"]) == ("live:1", "1.5")
    assert brackets["brackets"][0]["maintenance_margin_ratio"] == "0.004"
    assert (body["version"], body["funding_interval_h"]) == (2, 8)


async def test_every_field_of_the_registry_is_shown(client: httpx2.AsyncClient) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(row_document(ROWS[0])))

    shown = (await client.get("/xchg/instruments/perp/BTCUSDT")).json()

    assert {**shown, "filters": stored["filters"]} == stored


async def test_pages_give_every_instrument_once(client: httpx2.AsyncClient) -> None:
    """Also symbols that are not ASCII, in order of venue and symbol."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        body = (await client.get("/xchg/instruments", params={"limit": 2, **cursor})).json()
        seen += names(body)
        if not body["next_cursor"]:
            break
        cursor = {"cursor": body["next_cursor"]}

    assert seen == sorted(str(row.instrument) for row in ROWS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"venue": "spot"}, ["spot/BTCUSDT"]),
        ({"status": "settling"}, ["perp/OLDUSDT"]),
        ({"contract_type": "TRADIFI_PERPETUAL"}, ["perp/TSLAUSDT"]),
        ({"quote_asset": "USDC"}, ["perp/BTCUSDC"]),
        ({"symbol": "btcusdt"}, ["perp/BTCUSDT", "spot/BTCUSDT"]),
        ({"symbol": "BTCUSDT", "venue": "perp"}, ["perp/BTCUSDT"]),
        ({"symbol": "币安人生USDT"}, [CHINESE]),
        ({"status": "NEVER_SEEN"}, []),
    ],
)
async def test_filters_select(
    client: httpx2.AsyncClient, query: dict[str, str], expected: list[str]
) -> None:
    reply = await client.get("/xchg/instruments", params=query)

    assert names(reply.json()) == expected


@pytest.mark.parametrize("path", ["/xchg/instruments", "/xchg/instruments/perp/BTCUSDT"])
async def test_an_entity_tag_changes_with_the_content(
    parts: WebParts, client: httpx2.AsyncClient, path: str
) -> None:
    """304 without a body while nothing has changed; `checked_at` is not content."""
    first = await client.get(path)
    tag = {"If-None-Match": first.headers["ETag"]}
    checked = structs.replace(ROWS[0], checked_at=ROWS[0].checked_at + 1)
    fill(parts, (checked, *ROWS[1:]))

    same = await client.get(path, headers=tag)

    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["ETag"] == first.headers["ETag"]
    fill(parts, (registry_row("perp/BTCUSDT", status="SETTLING"), *ROWS[1:]))
    changed = await client.get(path, headers=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]
    fill(parts, (structs.replace(ROWS[0], version=ROWS[0].version + 2), *ROWS[1:]))
    as_before = await client.get(path, headers=tag)
    assert as_before.status_code == 200  # version and updated_at are not those of the first reply


async def test_an_unknown_instrument_says_what_to_do(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.catalog.set_problem(Venue.PERP, "GET /fapi/v1/exchangeInfo: 503")

    reply = await client.get("/xchg/instruments/perp/NOSUCHUSDT")

    assert (reply.status_code, reply.json()["code"]) == (404, "instruments.unknown")
    assert reply.json()["detail"] == (
        "perp/NOSUCHUSDT is not in the registry; the listing is not current: GET "
        "/fapi/v1/exchangeInfo: 503; GET /xchg/instruments lists what is"
    )


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({"cursor": "nonsense"}, "send next_cursor of the previous page"),
        ({"venue": "moon"}, "send one of spot, perp"),
        ({"limit": "0"}, "send a whole number from 1 to 1000"),
        ({"symbol": "a b"}, "is not a symbol"),
        ({"symbols": "BTCUSDT"}, "symbols"),
    ],
)
async def test_bad_parameters_are_named(
    client: httpx2.AsyncClient, query: dict[str, str], part: str
) -> None:
    reply = await client.get("/xchg/instruments", params=query)

    assert reply.status_code == 400
    assert part in reply.json()["detail"]


async def test_accept_is_true_or_false() -> None:
    token, record = make_token("op01", b"o" * 32, actor="op", scopes=Scope, created_at=0)
    parts = WebParts(tokens=MemoryTokenStore([record]), only={"instruments"})
    async with parts.client() as client:
        client.headers["Authorization"] = f"Bearer {token}"

        reply = await client.post("/xchg/instruments/sync", params={"accept": "yes"})

    assert (reply.status_code, reply.json()["detail"]) == (400, "accept: send true or false")
