"""The codes that are definite, their page, and ccxt's tables say the same."""

import re
from pathlib import Path
from typing import Any

import pytest

from chimera_s1.adapters.binance.http.reply_classification import (
    FORBIDDEN_CODES,
    PARAMETER_CODES,
    RATE_LIMITED_CODES,
    REFUSED_CODES,
    REFUSED_TEXTS,
    TIMESTAMP_CODE,
)
from chimera_s1.adapters.binance.orders.refusals import REASONS, TOO_LATE_CODE
from chimera_s1.domain.identifiers import Venue

PAGE = Path(__file__).parents[2] / "docs" / "binance-error-codes.md"
BINANCE_PAGES = {"S", "W", "U"}


@pytest.mark.parametrize("venue", Venue)
def test_each_definite_code_of_orders_is_on_the_page(venue: Venue) -> None:
    heading = {Venue.SPOT: "### Orders on spot", Venue.PERP: "### Orders on futures"}[venue]
    sources_of = read_sources(PAGE.read_text(encoding="utf-8").split(heading)[1].split("###")[0])
    refused_by_ccxt = codes_refused_by_ccxt("spot" if venue is Venue.SPOT else "linear")
    own = REASONS[venue].keys() - PARAMETER_CODES - FORBIDDEN_CODES
    too_late = {TOO_LATE_CODE} if venue is Venue.PERP else set()

    assert set(sources_of) == own | too_late
    assert_independent(sources_of, refused_by_ccxt)


def test_each_definite_code_is_on_the_page_with_two_independent_sources() -> None:
    rows = PAGE.read_text(encoding="utf-8").split("## Definite")[1].split("## Unknown")[0]
    sources_of = read_sources(rows)
    definite = {*FORBIDDEN_CODES, *REFUSED_CODES, *REFUSED_TEXTS, *RATE_LIMITED_CODES}

    assert set(sources_of) == definite | {TIMESTAMP_CODE}
    assert_independent(sources_of, codes_refused_by_ccxt("spot", "linear"))


def read_sources(rows: str) -> dict[int, set[str]]:
    return {
        int(code): set(sources.split())
        for codes, _, sources in re.findall(
            r"^\| (-[-0-9 ]+) \| (.*) \| ([A-Z ]+) \|$", rows, re.MULTILINE
        )
        for code in codes.split()
    }


def assert_independent(sources_of: dict[int, set[str]], refused_by_ccxt: set[int]) -> None:
    """Each code has two independent sources, and ccxt is one of them if it is named."""
    for code, sources in sources_of.items():
        independent = {"Binance" if mark in BINANCE_PAGES else mark for mark in sources}
        assert len(independent) >= 2, code
        assert sources <= {*BINANCE_PAGES, "C", "N", "R"}
        assert ("C" in sources) == (code in refused_by_ccxt), code


def codes_refused_by_ccxt(*venues: str) -> set[int]:
    """Codes that ccxt maps to an error which says that nothing was executed."""
    import ccxt.async_support as ccxt  # type: ignore[import-untyped]  # noqa: PLC0415 (slow)

    binance = ccxt.binance().exceptions
    own = [binance[venue] for venue in venues]
    tables = [binance, *own, ccxt.tokocrypto().exceptions]
    return {
        int(code)
        for table in tables
        for code, error in table["exact"].items()
        if re.fullmatch(r"-\d+", code) and _is_refusal(ccxt, error)
    }


def _is_refusal(ccxt: Any, error: type[Exception]) -> bool:
    if error in {ccxt.RateLimitExceeded, ccxt.InvalidNonce}:
        return True
    vague = error in {ccxt.ExchangeError, ccxt.BadResponse}
    return not vague and not issubclass(error, ccxt.OperationFailed)
