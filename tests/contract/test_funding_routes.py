"""`/xchg/funding`: pages of records, what is verified and disputed, the backfill, bad input."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.record import (
    Conversion,
    FundingAmount,
    FundingDispute,
    FundingRecord,
    IncomePart,
)
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, SettlementKey
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.contract.test_jobs_api import OPERATOR, OPERATOR_TOKEN
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, description
from tests.fakes.backfill import progress_of
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_instruments import registry_row

HOUR_MS = 3_600_000
START = 1_793_923_200_000  # 2026-11-06T00:00Z
WINDOW = {"start": "2026-11-06", "end": "2026-11-07T00:00Z"}


def record(
    hour: int,
    symbol: str = "BTCUSDT",
    rate_type: str = REGULAR,
    amount: FundingAmount | None = None,
) -> FundingRecord:
    return FundingRecord(
        key=SettlementKey(START + hour * HOUR_MS + 3, Symbol(symbol), rate_type),
        rate=Decimal("0.00010000"),
        mark_price=Decimal("67403.80"),
        interval_h=8,
        rate_est=Decimal("-0.000011"),
        amount=amount,
        content_hash="ab" * 32,
        first_seen_at=START + hour * HOUR_MS + 7_000,
    )


def usdt(amount: str) -> FundingAmount:
    exact = Decimal(amount)
    parts = (IncomePart(1, "USDT", exact),)
    return FundingAmount(account="live:1", parts=parts, amount_usdt=exact)


def dispute(hour: int, symbol: str = "BTCUSDT") -> FundingDispute:
    return FundingDispute(
        key=record(hour, symbol).key,
        field="rate",
        stored="0.0001",
        found="0.0002",
        content_hash="cd" * 32,
        found_at=START + 90 * HOUR_MS,
    )


def shown_dispute(hour: int) -> dict[str, object]:
    return {
        "symbol": "BTCUSDT",
        "funding_time": START + hour * HOUR_MS + 3,
        "rate_type": "Regular",
        "field": "rate",
        "stored": "0.0001",
        "found": "0.0002",
        "found_at": START + 90 * HOUR_MS,
    }


@pytest.fixture
def parts() -> WebParts:
    made = WebParts(tokens=MemoryTokenStore([READER, OPERATOR]), only={"funding"})
    made.catalog.put(Venue.PERP, [registry_row("perp/BTCUSDT"), registry_row("perp/币安人生USDT")])
    store(made, *(record(hour) for hour in (0, 8, 16)))
    return made


def store(parts: WebParts, *records: FundingRecord) -> None:
    parts.funding.records.update((each.key, each) for each in records)


async def verify(parts: WebParts, *symbols: str) -> None:
    await parts.funding.extend_coverage(
        [
            RateCoverage(
                symbol=Symbol(each),
                verified_from=START - HOUR_MS,
                verified_through=START + 20 * HOUR_MS,
            )
            for each in symbols
        ]
    )


@pytest.fixture
async def client(parts: WebParts) -> AsyncIterator[httpx2.AsyncClient]:
    async with parts.client() as opened:
        opened.headers["Authorization"] = f"Bearer {OPERATOR_TOKEN}"
        yield opened


def times(body: dict[str, Any]) -> list[int]:
    return [each["funding_time"] for each in body["records"]]


async def test_a_record_reads_like_its_row(parts: WebParts, client: httpx2.AsyncClient) -> None:
    """Numbers, and beside each its exact text in the shortest form."""
    paid = FundingAmount(
        account="live:1",
        parts=(
            IncomePart(7, "BNB", Decimal("-0.00100000")),
            IncomePart(8, "USDT", Decimal("0.10")),
        ),
        conversions=(Conversion("BNB", Decimal("862.10"), START),),
        amount_usdt=Decimal("-0.7621"),
    )
    parts.funding.records.clear()
    store(parts, record(0, amount=paid))
    await verify(parts, "BTCUSDT")

    reply = await client.get("/xchg/funding/btcusdt", params=WINDOW)

    assert reply.status_code == 200
    assert reply.json() == {
        "symbol": "BTCUSDT",
        "verified_from": START - HOUR_MS,
        "verified_through": START + 20 * HOUR_MS,
        "records": [
            {
                "symbol": "BTCUSDT",
                "funding_time": START + 3,
                "rate_type": "Regular",
                "rate": 0.0001,
                "rate_text": "0.0001",
                "rate_est": -0.000011,
                "rate_est_text": "-0.000011",
                "mark_price": 67403.8,
                "mark_price_text": "67403.8",
                "interval_h": 8,
                "amount_usdt": -0.7621,
                "amount_usdt_text": "-0.7621",
                "account": "live:1",
                "parts": [
                    {"tran_id": "7", "asset": "BNB", "amount": "-0.001"},
                    {"tran_id": "8", "asset": "USDT", "amount": "0.1"},
                ],
                "conversions": [{"asset": "BNB", "rate": "862.1", "time": START}],
                "disputed": False,
                "first_seen_at": START + 7_000,
                "version": 1,
                "content_hash": "ab" * 32,
            }
        ],
        "disputes": [],
    }


async def test_pages_cover_all_records_once_the_oldest_first(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """Also two of one time; a last page that is full has no cursor."""
    store(parts, record(8, rate_type=SPECIAL), record(8, symbol="ETHUSDT"))
    query: dict[str, str] = {**WINDOW, "limit": "2"}

    first = (await client.get("/xchg/funding/BTCUSDT", params=query)).json()
    second = await client.get(
        "/xchg/funding/BTCUSDT", params={**query, "cursor": first["next_cursor"]}
    )

    assert times(first) == [START + 3, START + 8 * HOUR_MS + 3]
    assert times(second.json()) == [START + 8 * HOUR_MS + 3, START + 16 * HOUR_MS + 3]
    assert [each["rate_type"] for each in second.json()["records"]] == ["Special", "Regular"]
    assert "next_cursor" not in second.json()


async def test_a_cursor_needs_no_start(client: httpx2.AsyncClient) -> None:
    first = await client.get("/xchg/funding/BTCUSDT", params={**WINDOW, "limit": "1"})
    query = {"cursor": first.json()["next_cursor"], "end": WINDOW["end"]}

    rest = await client.get("/xchg/funding/BTCUSDT", params=query)

    assert len(rest.json()["records"]) == 2


async def test_both_ends_of_the_window_are_included(client: httpx2.AsyncClient) -> None:
    query = {"start": str(START + 3), "end": str(START + 8 * HOUR_MS + 3)}

    body = (await client.get("/xchg/funding/BTCUSDT", params=query)).json()

    assert times(body) == [START + 3, START + 8 * HOUR_MS + 3]


async def test_window_is_the_last_7_days_by_default(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    day = 24
    store(parts, record(-1), record(day), record(8 * day), record(9 * day))
    await parts.clock.advance(START + 8 * day * HOUR_MS + 3 - parts.clock.now_ms())

    body = (await client.get("/xchg/funding/BTCUSDT")).json()

    assert times(body) == [START + day * HOUR_MS + 3, START + 8 * day * HOUR_MS + 3]


async def test_a_disputed_record_is_marked_with_what_was_found(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """A dispute outside the window, or of another contract, is left out."""
    disputes = [dispute(8), dispute(48), dispute(8, "ETHUSDT")]
    await parts.funding.dispute(disputes)

    body = (await client.get("/xchg/funding/BTCUSDT", params=WINDOW)).json()

    assert [each["disputed"] for each in body["records"]] == [False, True, False]
    assert body["disputes"] == [shown_dispute(8)]


async def test_a_listed_contract_without_history_is_empty_and_not_verified(
    client: httpx2.AsyncClient,
) -> None:
    body = (await client.get("/xchg/funding/币安人生USDT")).json()

    assert (body["records"], body["verified_from"], body["verified_through"]) == ([], None, None)


async def test_a_delisted_contract_with_old_records_is_known(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    store(parts, record(0, symbol="LUNAUSDT"))

    assert (await client.get("/xchg/funding/LUNAUSDT")).json()["records"] == []


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("BTCUSD", 404, "in the funding history; did you mean BTCUSDT?"),
        ("NOSUCH", 404, "GET /xchg/instruments?venue=perp lists them"),
        ("a b", 400, "symbol: 'a b' is not a symbol"),
        (
            "BTCUSDT?start=2026-11-07&end=2026-11-06",
            400,
            (
                "start 2026-11-07T00:00:00.000Z is after end 2026-11-06T00:00:00.000Z; send a "
                "start that is not after end"
            ),
        ),
        ("BTCUSDT?start=2026-11-07", 400, "end, which is now if it is left out"),
        (
            "BTCUSDT?start=2024-11-07&end=2026-11-06",
            400,
            "is more than 366 days; send start and end at most 366 days apart",
        ),
        ("BTCUSDT?start=yesterday", 400, "start: 'yesterday' is not a time; write epoch ms, or"),
        ("BTCUSDT?end=1793923200", 400, "end: 1793923200 is not a time in ms; epoch ms have 13"),
        ("BTCUSDT?limit=0", 400, "limit: send a whole number from 1 to 1000"),
        ("BTCUSDT?limit=1001", 400, "limit: send a whole number from 1 to 1000"),
        ("BTCUSDT?cursor=nonsense", 400, "cursor: send next_cursor of the previous page"),
        (
            "ETHUSDT?cursor=MSBCVENVU0RUIFJlZ3VsYXI",
            400,
            "cursor: it is of another contract; omit it",
        ),
        ("BTCUSDT?page_token=x", 400, "page_token: no such query parameter"),
        ("BTCUSDT?begin=1", 400, "begin: no such query parameter"),
        ("BTCUSDT?strat=2026-11-06", 400, "did you mean start?"),
    ],
)
async def test_bad_input_is_answered_with_what_is_allowed(
    client: httpx2.AsyncClient, path: str, status: int, sentence: str
) -> None:
    reply = await client.get(f"/xchg/funding/{path}")

    assert (reply.status_code, reply.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert sentence in reply.json()["detail"]


async def test_a_listing_that_is_not_known_is_said_with_an_unknown_contract(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.catalog.set_problem(Venue.PERP, "GET /fapi/v1/exchangeInfo: 503")

    detail = (await client.get("/xchg/funding/NOSUCH")).json()["detail"]

    assert "the listing is not current: GET /fapi/v1/exchangeInfo: 503" in detail


async def test_without_the_exchanges_time_a_window_is_needed(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.exchange_known = False

    without = await client.get("/xchg/funding/BTCUSDT", params={"start": "2026-11-06"})
    with_both = await client.get("/xchg/funding/BTCUSDT", params=WINDOW)

    assert (without.status_code, without.json()["code"]) == (503, "exchange.unavailable")
    assert without.json()["detail"].endswith("; send start and end to read now")
    assert len(with_both.json()["records"]) == 3


async def test_an_unavailable_store_is_503_in_its_own_words(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.funding.unavailable = "sqlite: database is locked"

    reply = await client.get("/xchg/funding/BTCUSDT")

    assert (reply.status_code, reply.json()["code"]) == (503, "store.unavailable")
    assert "database is locked" in reply.json()["detail"]
    assert int(reply.headers["retry-after"]) > 0


async def test_gaps_are_listed_with_counts_and_what_is_verified(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    """A hole in what was read, a contract that was not read, and a dispute."""
    await parts.clock.advance(START + 25 * HOUR_MS - parts.clock.now_ms())
    store(parts, *(record(hour, "ETHUSDT") for hour in (-24, -16, -8, 0, 16, 24)))
    listed = ContractFacts(expects_from=START - 24 * HOUR_MS, interval_h=8)
    parts.contracts |= {Symbol(name): listed for name in ("BTCUSDT", "ETHUSDT")}
    through = START + 24 * HOUR_MS + 60_000
    await parts.funding.extend_coverage(
        [
            RateCoverage(
                symbol=Symbol("ETHUSDT"),
                verified_from=START - 24 * HOUR_MS,
                verified_through=through,
            )
        ]
    )
    await parts.funding.dispute([dispute(0)])

    body = (await client.get("/xchg/funding/gaps")).json()
    first = (await client.get("/xchg/funding/gaps", params={"limit": "1"})).json()
    one = (await client.get("/xchg/funding/gaps", params={"symbol": "ethusdt"})).json()

    hole = {
        "symbol": "ETHUSDT",
        "kind": "not_published",
        "start": START + 8 * HOUR_MS,
        "end": START + 8 * HOUR_MS,
    }
    not_read = {
        "symbol": "BTCUSDT",
        "kind": "not_verified",
        "start": START - 24 * HOUR_MS,
        "end": START + 24 * HOUR_MS,
    }
    assert body == {
        "searched_from": START + (25 - 90 * 24) * HOUR_MS,
        "verified_through": through,
        "contracts": 1,
        "not_verified": 1,
        "not_published": 1,
        "disputed": 1,
        "gaps": [not_read, hole],
        "disputes": [shown_dispute(0)],
    }
    assert (first["gaps"], first["not_published"]) == ([not_read], 1)
    assert (one["gaps"], one["not_verified"], one["disputes"]) == ([hole], 0, [])


async def test_gaps_are_not_known_before_anything_is_verified(client: httpx2.AsyncClient) -> None:
    body = (await client.get("/xchg/funding/gaps")).json()

    assert (body["contracts"], body["verified_through"], body["gaps"]) == (0, None, [])


async def test_days_are_summed_by_contract(parts: WebParts, client: httpx2.AsyncClient) -> None:
    """Exactly, on whole UTC days; a contract without a known amount counts in the total only."""
    store(
        parts,
        record(0, amount=usdt("0.1")),
        record(8, amount=usdt("0.2")),
        record(16, amount=usdt("-1.23456789")),
        record(24),
        record(8, "ETHUSDT", amount=usdt("-2")),
        record(32, "ETHUSDT", amount=usdt("5")),
    )
    query = {"start": "2026-11-06T10:00", "end": "2026-11-07T01:00"}

    body = (await client.get("/xchg/funding/summary", params=query)).json()

    assert (body["start"], body["end"]) == (START, START + 48 * HOUR_MS - 1)
    assert body["days"][0] == {
        "day": "2026-11-06",
        "symbol": "BTCUSDT",
        "settlements": 3,
        "without_amount": 0,
        "received_usdt": 0.3,
        "received_usdt_text": "0.3",
        "paid_usdt": -1.23456789,
        "paid_usdt_text": "-1.23456789",
        "net_usdt": -0.93456789,
        "net_usdt_text": "-0.93456789",
    }
    assert [(each["day"], each["symbol"]) for each in body["days"]] == [
        ("2026-11-06", "BTCUSDT"),
        ("2026-11-06", "ETHUSDT"),
        ("2026-11-07", "ETHUSDT"),
    ]
    total = body["total"]
    assert (total["settlements"], total["without_amount"]) == (6, 1)
    assert total["net_usdt_text"] == "2.06543211"


async def test_pages_of_days_cover_all_rows_once(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    for hour in (0, 24):
        store(
            parts,
            record(hour, amount=usdt("1")),
            record(hour, "ETHUSDT", amount=usdt("1")),
        )
    query: dict[str, str] = {**WINDOW, "limit": "2"}

    first = (await client.get("/xchg/funding/summary", params=query)).json()
    query["cursor"] = first["next_cursor"]
    second = (await client.get("/xchg/funding/summary", params=query)).json()

    rows = [(each["day"][-2:], each["symbol"]) for each in [*first["days"], *second["days"]]]
    assert rows == [("06", "BTCUSDT"), ("06", "ETHUSDT"), ("07", "BTCUSDT"), ("07", "ETHUSDT")]
    assert "next_cursor" not in second
    assert first["total"] == second["total"]


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("gaps?symbol=BTCUSD", 404, "did you mean BTCUSDT?"),
        ("gaps?limit=1001", 400, "limit: send a whole number from 1 to 1000"),
        ("gaps?symbl=BTCUSDT", 400, "did you mean symbol?"),
        ("gaps?symbol=", 400, "symbol: '' is not a symbol"),
        ("summary?symbol=BTCUSD", 404, "did you mean BTCUSDT?"),
        ("summary?cursor=MSBCVENVU0RUIFJlZ3VsYXI", 400, "cursor: send next_cursor of the"),
        ("summary?start=2026-11-07&end=2026-11-06", 400, "is after end"),
        (
            "summary?start=2026-01-01&end=2026-11-06",
            400,
            "send start and end at most 92 days apart, or a symbol: then 366",
        ),
        ("summary?start=2024-01-01&end=2026-11-06&symbol=BTCUSDT", 400, "at most 366 days apart"),
    ],
)
async def test_bad_input_of_gaps_and_summary(
    client: httpx2.AsyncClient, path: str, status: int, sentence: str
) -> None:
    reply = await client.get(f"/xchg/funding/{path}")

    assert reply.status_code == status
    assert sentence in reply.json()["detail"]


@pytest.mark.parametrize("name", ["GAPS", "SUMMARY", "BACKFILL"])
async def test_a_route_in_lower_case_is_no_symbol(
    parts: WebParts, client: httpx2.AsyncClient, name: str
) -> None:
    """A contract of that name is asked for in upper case, and so the description says."""
    store(parts, record(0, symbol=name))

    contract = await client.get(f"/xchg/funding/{name}", params=WINDOW)
    route = await client.get(f"/xchg/funding/{name.lower()}")

    assert [each["symbol"] for each in contract.json()["records"]] == [name]
    assert "symbol" not in route.json()
    [in_path] = [
        each
        for each in description()["paths"]["/xchg/funding/{symbol}"]["get"]["parameters"]
        if each["in"] == "path"
    ]
    allowed = re.compile(in_path["schema"]["pattern"])
    assert (allowed.match(name) is None, allowed.match(name.lower())) == (False, None)


async def test_a_backfill_is_requested_and_shown(
    parts: WebParts, client: httpx2.AsyncClient
) -> None:
    parts.backfills.progress = None
    none = await client.get("/xchg/funding/backfill")
    requested = await client.post("/xchg/funding/backfill", json={"days": 30})
    parts.backfills.progress = progress_of(30, 10, problem="the exchange answers 503", rows=7)
    shown = await client.get("/xchg/funding/backfill")

    assert (none.status_code, none.json()["code"]) == (404, "funding.no_backfill")
    assert (requested.status_code, requested.json()["state"]) == (202, "running")
    body = shown.json()
    end = body.pop("end")
    assert body == {
        "state": "waiting",
        "days": 30,
        "start": end - 30 * 24 * HOUR_MS,
        "done_from": end - 10 * 24 * HOUR_MS,
        "rows": 7,
        "requests": 10,
        "problem": "the exchange answers 503",
    }


@pytest.mark.parametrize("days", ["0", "-1", "10000", "1e2", "1.5", '"30"', "null", "true"])
async def test_days_are_a_whole_number_within_bounds(client: httpx2.AsyncClient, days: str) -> None:
    reply = await client.post(
        "/xchg/funding/backfill",
        content=f'{{"days": {days}}}',
        headers={"Content-Type": "application/json"},
    )

    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")
    assert reply.json()["detail"] == "days: send a whole number from 1 to 9999"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "days is missing; send it"),
        ({"day": 3}, "day is unknown; remove it, did you mean days?"),
        ([], "send one object"),
    ],
)
async def test_a_wrong_body_is_named(
    client: httpx2.AsyncClient, body: object, sentence: str
) -> None:
    reply = await client.post("/xchg/funding/backfill", json=body)

    assert reply.status_code == 400
    assert sentence in reply.json()["detail"]


async def test_reading_does_not_permit_a_backfill(client: httpx2.AsyncClient) -> None:
    client.headers["Authorization"] = f"Bearer {READER_TOKEN}"

    reply = await client.post("/xchg/funding/backfill", json={"days": 1})

    assert (reply.status_code, reply.json()["code"]) == (403, "access.scope")
