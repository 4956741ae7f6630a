"""Port: what the exchange publishes about funding settlements."""

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.funding.record import IncomePart
from chimera_s1.domain.funding.settlement import Settlement
from chimera_s1.domain.identifiers import Symbol


class RatePage(Struct, frozen=True):
    """Attributes:
    rows: Ascending by time, as the exchange orders them.
    unusable: Rows that cannot be read, with the reason. The window of a page that has one is not
        proven.
    is_full: The page has as many rows as it may have, so there may be more.
    unusable_of: The contracts of all unusable rows, so that the page still proves the others; None
        if one does not say its contract.
    """

    rows: tuple[Settlement, ...]
    unusable: tuple[str, ...]
    is_full: bool
    unusable_of: frozenset[Symbol] | None = None


class IncomeRow(Struct, frozen=True, gc=False):
    """Attributes:
    rate_type: Of the settlement: Regular for FUNDING_FEE, Special for SPECIAL_FUNDING_FEE.
    time: Epoch ms; some ms away from the settlement's.
    """

    symbol: Symbol
    rate_type: str
    time: int
    part: IncomePart


class IncomePage(Struct, frozen=True):
    """As `RatePage`; all rows of one income type.

    Attributes:
        account: Whose rows; the key may be replaced between two pages.
    """

    account: str
    rows: tuple[IncomeRow, ...]
    unusable: tuple[str, ...]
    is_full: bool
    unusable_of: frozenset[Symbol] | None = None


class FundingSource(Protocol):
    """All reads may be repeated. Each call raises `ExchangeUnavailableError` without a usable
    answer, and `ExchangeRefusedError` if the exchange refuses the request.
    """

    async def rates(self, start: int, end: int, symbol: Symbol | None = None) -> RatePage:
        """The first rows from *start*; both times included. Without *symbol*, of all contracts."""
        ...

    async def account(self) -> str | None:
        """Whose income is read; None without a key."""
        ...

    async def income(self, start: int, end: int, rate_type: str) -> IncomePage:
        """The first rows from *start*; both times included. At most 7 days and 3 months back.

        Raises:
            ExchangeRefusedError: Also without a key, or one that may not read it.
        """
        ...

    async def usdt_price(self, asset: str, time: int) -> tuple[Decimal, int] | None:
        """Close and open time of the spot 1-minute candle that contains *time*; None where no
        market of *asset* in USDT has one.
        """
        ...
