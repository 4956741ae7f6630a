"""The codes that are definite, their page, and ccxt's tables say the same."""

import re
from pathlib import Path
from typing import Any

from chimera_s1.adapters.binance.http.reply_classification import (
    FORBIDDEN_CODES,
    RATE_LIMITED_CODES,
    REFUSED_CODES,
    REFUSED_TEXTS,
    TIMESTAMP_CODE,
)

PAGE = Path(__file__).parents[2] / "docs" / "binance-error-codes.md"
BINANCE_PAGES = {"S", "W", "U"}


def test_each_definite_code_is_on_the_page_with_two_independent_sources() -> None:
    rows = PAGE.read_text(encoding="utf-8").split("## Definite")[1].split("## Unknown")[0]
    sources_of = {
        int(code): set(sources.split())
        for codes, _, sources in re.findall(
            r"^\| (-[-0-9 ]+) \| (.*) \| ([A-Z ]+) \|$", rows, re.MULTILINE
        )
        for code in codes.split()
    }
    refused_by_ccxt = codes_refused_by_ccxt()
    definite = {*FORBIDDEN_CODES, *REFUSED_CODES, *REFUSED_TEXTS, *RATE_LIMITED_CODES}

    assert set(sources_of) == definite | {TIMESTAMP_CODE}
    for code, sources in sources_of.items():
        independent = {"Binance" if mark in BINANCE_PAGES else mark for mark in sources}
        assert len(independent) >= 2, code
        assert sources <= {*BINANCE_PAGES, "C", "N", "R"}
        assert ("C" in sources) == (code in refused_by_ccxt), code


def codes_refused_by_ccxt() -> set[int]:
    """Codes that ccxt maps to an error which says that nothing was executed."""
    import ccxt.async_support as ccxt  # type: ignore[import-untyped]  # noqa: PLC0415 (slow)

    binance = ccxt.binance().exceptions
    tables = [binance, binance["spot"], binance["linear"], ccxt.tokocrypto().exceptions]
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
