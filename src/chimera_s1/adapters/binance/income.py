"""What an account was paid and charged on futures: `GET /fapi/v1/income`, signed.

Binance, USD-M "Get Income History": at most 1000 rows a reply, oldest first, over three months and
at most 7 days at once; the next page starts at the time of the last row. No id of a row is
reliable.
"""

from chimera_s1.adapters.binance.http.request_limits import futures_weight
from chimera_s1.adapters.binance.http.signing import Parameters

PATH = "/fapi/v1/income"
PAGE_ROWS = 1_000
CHARGES = futures_weight(30)


def page_parameters(income_type: str, start: int, end: int) -> Parameters:
    """Of the first page from *start*; both times included."""
    return (
        ("incomeType", income_type),
        ("startTime", str(start)),
        ("endTime", str(end)),
        ("limit", str(PAGE_ROWS)),
    )
