"""Port: what the exchange publishes about funding settlements."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.funding.income import IncomeRow
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
    unusable_of: frozenset[Symbol] | None = frozenset()


class IncomePage(Struct, frozen=True):
    """As `RatePage`; all rows of one income type.

    Attributes:
        account: Whose rows; the key may be replaced between two pages.
    """

    account: str
    rows: tuple[IncomeRow, ...]
    unusable: tuple[str, ...]
    is_full: bool
    unusable_of: frozenset[Symbol] | None = frozenset()


class Candle(NamedTuple):
    """Of one minute; *opened* is its first ms, epoch."""

    close: Decimal
    opened: int


class NoPrice(StrEnum):
    """Why an asset has no price in USDT."""

    NO_MARKET = "no_market"  # BNFCR, Binance's credit in Europe, for example
    NO_CANDLE = "no_candle"  # of that minute


AssetPrice: TypeAlias = Candle | NoPrice


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

    async def usdt_price(self, asset: str, time: int) -> AssetPrice:
        """The spot 1-minute candle of *asset* in USDT that contains *time*; while that minute
        lasts, its close still changes.
        """
        ...
