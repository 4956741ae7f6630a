"""Monthly files of settlements, as the exchange's public archive has them."""

import hashlib
import zipfile
from collections.abc import Iterator
from io import BytesIO

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.rate_history import RateHistory
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.settlements import LATE_MAX_MS, REGULAR
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.month import Month

HEADER = "calc_time,funding_interval_hours,last_funding_rate"
CHECKSUM_SUFFIX = ".CHECKSUM"


class FundingFiles:
    """A month is there once it has ended. Rows are as they were settled: one that is withheld from
    `GET /fapi/v1/fundingRate`, or changed there, is here as it was. Special rows are not.
    """

    def __init__(self, market: Market, rates: RateHistory, clock: ScaledClock) -> None:
        self._market = market
        self._rates = rates
        self._clock = clock

    def find(self, symbol: str, name: str) -> bytes | None:
        """The file of that name in the folder of *symbol*."""
        zip_name = name.removesuffix(CHECKSUM_SUFFIX)
        prefix, suffix = f"{symbol}-fundingRate-", ".zip"
        if not zip_name.startswith(prefix) or not zip_name.endswith(suffix):
            return None
        try:
            month = Month.parse(zip_name.removeprefix(prefix).removesuffix(suffix))
        except InvalidValueError:
            return None
        market = self._market.find_funded(symbol)
        if market is None or self._clock.now_ms() <= month.end + LATE_MAX_MS:
            return None
        rows = list(self._rows(market, month))
        if not rows:
            return None
        content = _zipped(f"{prefix}{month}.csv", "\n".join([HEADER, *rows, ""]))
        return content if name == zip_name else _checksum(content, zip_name)

    def _rows(self, market: SymbolMarket, month: Month) -> Iterator[str]:
        for due_ms in range(month.start, month.end, HOUR_MS):
            for row in self._rates.settled_at(due_ms, [market]):
                if row.rate_type == REGULAR:
                    hours = market.funding.hours_after(due_ms - 1)
                    yield f"{row.time_ms},{hours},{row.rate}"


def _zipped(name: str, text: str) -> bytes:
    """The same bytes for the same text: the checksum is computed apart."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _checksum(content: bytes, name: str) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
