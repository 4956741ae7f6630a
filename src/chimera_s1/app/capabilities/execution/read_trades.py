"""Read the account's trades since the last moment up to which they were all read."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.reconciliation import last_change_ms
from chimera_s1.domain.execution.reports import FillReport
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.exchange_account import ExchangeAccount

RECENT_MS = 86_400_000
"""A symbol with a trade in this time is read again."""


class TradesSpan(Struct, frozen=True, kw_only=True):
    """Attributes:
    start_ms, end_ms: Exchange epoch ms.
    is_first: No trades were ever read for this ledger: what came before *start_ms* is not in it.
    """

    start_ms: int
    end_ms: int
    is_first: bool


class ReadTrades:
    """Trades of one venue. The exchange has no listing of all symbols, so those are read that have
    traded recently, have an open order or a position, or are served.

    Args:
        served: More symbols to read.
    """

    def __init__(
        self,
        venue: Venue,
        account: ExchangeAccount,
        cursors: CursorStore,
        state: ExecutionState,
        *,
        served: Callable[[], Iterable[Symbol]],
    ) -> None:
        self._venue = venue
        self._account = account
        self._cursors = cursors
        self._state = state
        self._served = served
        self._cursor = f"execution.fills.{venue.value}"
        self._first_ms = 0

    async def span(self, read_from_ms: int) -> TradesSpan:
        """Up to *read_from_ms*.

        Raises:
            StoreUnavailableError: The cursor cannot be read.
        """
        cursor = await self._cursors.read(self._cursor)
        if not self._first_ms:
            self._first_ms = self._last_fill_ms() or read_from_ms - QUERY_LAG_MS
        start_ms = cursor or self._first_ms
        return TradesSpan(start_ms=start_ms, end_ms=read_from_ms, is_first=not cursor)

    def symbols(self, span: TradesSpan, held: Iterable[Symbol]) -> tuple[Symbol, ...]:
        """*held* are those with an open order or a position."""
        recent_ms = span.start_ms - RECENT_MS
        ours = (
            order.request.symbol
            for order in self._state.orders.values()
            if order.venue is self._venue
            and (order.is_open or last_change_ms(order) >= span.start_ms - QUERY_LAG_MS)
        )
        traded = (key.symbol for key, at_ms in self._last_fills().items() if at_ms >= recent_ms)
        return tuple(sorted({*held, *ours, *traded, *self._served()}))

    async def read(self, symbol: Symbol, span: TradesSpan) -> tuple[FillReport, ...]:
        return await self._account.fills(
            self._venue, symbol, start_ms=span.start_ms, end_ms=span.end_ms
        )

    async def completed(self, read_from_ms: int) -> None:
        """The trades of every symbol are recorded; a read may have lacked the newest ones.

        Raises:
            StoreUnavailableError: The next round reads them again.
        """
        await self._cursors.advance(self._cursor, read_from_ms - QUERY_LAG_MS)

    def _last_fills(self) -> Mapping[InstrumentId, int]:
        return {
            key: at_ms
            for key, at_ms in self._state.positions.last_fill_ms.items()
            if key.venue is self._venue
        }

    def _last_fill_ms(self) -> int:
        return max(self._last_fills().values(), default=0)
