"""Reads the funding records of a contract from the running service, page by page."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Self
from urllib.parse import quote, urlencode

from msgspec import Struct, field

from chimera_s1.app.capabilities.funding.verify_records import StoredHistory
from chimera_s1.app.cli.shared.service_access import ServiceAccess
from chimera_s1.app.cli.shared.service_call import call_in_session
from chimera_s1.domain.funding.archive_check import StoredRate
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.identifiers import Symbol
from chimera_s1_client import HttpSession

PAGE = 1_000


class RecordRow(Struct, frozen=True, kw_only=True):
    """A record as the service shows it; times are epoch ms, numbers exact."""

    funding_time: int
    rate_type: str
    interval_h: int | None
    rate: Decimal = field(name="rate_text")
    rate_est: Decimal | None = field(name="rate_est_text")
    amount_usdt: Decimal | None = field(name="amount_usdt_text")
    disputed: bool


class RecordPage(Struct, frozen=True):
    symbol: str
    verified_from: int | None
    verified_through: int | None
    records: tuple[RecordRow, ...]
    next_cursor: str = ""


class _Instrument(Struct, frozen=True):
    symbol: str


class _Instruments(Struct, frozen=True):
    instruments: tuple[_Instrument, ...]
    next_cursor: str = ""


class ServiceRecords:
    """Each call raises `InvalidValueError` for an unknown contract, and `ServiceCallError` if the
    service does not answer or cannot read its store.
    """

    def __init__(self, service: ServiceAccess) -> None:
        self._session = HttpSession(service.url, service.token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.__aexit__(None, None, None)

    async def pages(
        self, symbol: str, start: int, end: int | None = None
    ) -> AsyncIterator[RecordPage]:
        """At least one page, the oldest records first; by default up to the exchange's now."""
        query = {"start": str(start), "limit": str(PAGE)}
        if end is not None:
            query["end"] = str(end)
        while True:
            path = f"/xchg/funding/{quote(symbol, safe='')}?{urlencode(query)}"
            page = await call_in_session(self._session, "GET", path, RecordPage)
            yield page
            if not page.next_cursor:
                return
            query["cursor"] = page.next_cursor

    async def stored(self, symbol: Symbol, start: int, end: int) -> StoredHistory:
        """As `VerifyRecords` reads them."""
        rates: list[StoredRate] = []
        coverage: RateCoverage | None = None
        async for page in self.pages(symbol, start, end):
            rates += map(_stored_rate, page.records)
            coverage = _coverage(symbol, page)
        return StoredHistory(tuple(rates), coverage)

    async def contracts(self) -> list[Symbol]:
        """All of the registry, also those that are no longer listed."""
        symbols: list[Symbol] = []
        query = {"venue": "perp", "limit": str(PAGE)}
        while True:
            path = f"/xchg/instruments?{urlencode(query)}"
            page = await call_in_session(self._session, "GET", path, _Instruments)
            symbols += (Symbol(each.symbol) for each in page.instruments)
            if not page.next_cursor:
                return symbols
            query["cursor"] = page.next_cursor


def _stored_rate(row: RecordRow) -> StoredRate:
    return StoredRate(row.funding_time, row.rate_type, row.rate, row.interval_h)


def _coverage(symbol: Symbol, page: RecordPage) -> RateCoverage | None:
    if page.verified_from is None or page.verified_through is None:
        return None
    return RateCoverage(
        symbol=symbol,
        verified_from=page.verified_from,
        verified_through=page.verified_through,
    )
