"""Reads of the account at Binance: what is open, held and traded, and how it is set up."""

from collections.abc import Callable, Container, Iterable
from functools import partial
from typing import TypeVar

from msgspec import Raw

from chimera_s1.adapters.binance.account_key import KeySource
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.http.signing import Parameters, VenueClock
from chimera_s1.adapters.binance.orders import (
    account_rows,
    perp_rows,
    request_calls,
    spot_rows,
)
from chimera_s1.adapters.binance.orders.gateway import require_signer
from chimera_s1.adapters.binance.orders.trade_pages import (
    PAGE_ROWS,
    TradePage,
    read_all,
    read_span,
)
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.execution.account_configuration import (
    AccountConfiguration,
    SymbolConfiguration,
)
from chimera_s1.domain.execution.reports import BalanceReport, FillReport, PositionReport
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.exchange_account import OpenOrders

_TRADES: dict[Venue, tuple[str, Callable[[Raw], FillReport]]] = {
    Venue.SPOT: ("/api/v3/myTrades", spot_rows.read_trade),
    Venue.PERP: ("/fapi/v1/userTrades", perp_rows.read_trade),
}

_T = TypeVar("_T")


class BinanceExchangeAccount:
    """Implements `domain.ports.exchange_account.ExchangeAccount`.

    Args:
        client: The caller closes it; shared with the order gateway of the same account.
        exchange_ms: The time of a venue, for what reads say is now.
        venues: Those that are served: of the others, the configuration is not read.
        rows: Reports rows that cannot be used.
    """

    def __init__(
        self,
        client: HttpClient,
        key: KeySource,
        exchange_ms: VenueClock,
        rows: RowReader | None = None,
        venues: Container[Venue] = tuple(Venue),
    ) -> None:
        self._client = client
        self._key = key
        self._exchange_ms = exchange_ms
        self._rows = rows or RowReader()
        self._venues = venues
        self._unreadable_rows = 0

    @property
    def unreadable_rows(self) -> int:
        return self._unreadable_rows

    async def open_orders(self, venue: Venue) -> OpenOrders:
        """Weight 86 of 6,000 on spot, 80 of 2,400 on futures."""
        from_ms = self._now_ms(venue)
        if venue is Venue.SPOT:
            call = request_calls.SPOT_OPEN_ORDERS
            orders = await self._list(venue, "/api/v3/openOrders", spot_rows.read_order, call)
            call = request_calls.SPOT_OPEN_LISTS
            lists = await self._list(venue, "/api/v3/openOrderList", spot_rows.read_list, call)
            return OpenOrders(orders=tuple(orders), lists=tuple(lists), read_from_ms=from_ms)
        call = request_calls.PERP_OPEN_ORDERS
        orders = await self._list(venue, "/fapi/v1/openOrders", perp_rows.read_order, call)
        algos = await self._list(venue, "/fapi/v1/openAlgoOrders", perp_rows.read_algo, call)
        return OpenOrders(orders=(*orders, *algos), lists=(), read_from_ms=from_ms)

    async def positions(self) -> tuple[PositionReport, ...]:
        read = partial(perp_rows.read_position, at_ms=self._now_ms(Venue.PERP))
        path, call = "/fapi/v3/positionRisk", request_calls.PERP_ACCOUNT
        return tuple(await self._list(Venue.PERP, path, read, call))

    async def balances(self, venue: Venue) -> tuple[BalanceReport, ...]:
        at_ms = self._now_ms(venue)
        if venue is Venue.SPOT:
            account = await self._spot_account()
            read = partial(spot_rows.read_balance, at_ms=at_ms)
            rows = self._read(account_rows.SPOT_PATH, account.balances, read)
        else:
            read = partial(perp_rows.read_balance, at_ms=at_ms)
            path, call = "/fapi/v3/balance", request_calls.PERP_ACCOUNT
            rows = await self._list(venue, path, read, call)
        return tuple(row for row in rows if row.free or row.locked)

    async def fills(
        self, venue: Venue, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> tuple[FillReport, ...]:
        fills = await read_span(
            partial(self._trade_page, venue, (("symbol", symbol),), request_calls.TRADES[venue]),
            venue,
            start_ms,
            end_ms,
        )
        return tuple(fill for fill in fills if fill.at_ms >= start_ms)

    async def fills_of_order(
        self, venue: Venue, symbol: Symbol, order_id: str
    ) -> tuple[FillReport, ...]:
        """On futures, Binance shows trades of the last 3 months only."""
        parameters = (("symbol", symbol), ("orderId", order_id))
        call = request_calls.TRADES_OF_ORDER[venue]
        fills = await read_all(partial(self._trade_page, venue, parameters, call))
        return tuple(fill for fill in fills if fill.order_id == order_id)

    async def configuration(self, symbols: tuple[Symbol, ...]) -> AccountConfiguration:
        perp = await self._perp_config()
        permissions = await self._permissions()
        return AccountConfiguration(
            hedge_mode=perp.dual_side_position,
            multi_assets=perp.multi_assets_margin,
            symbols=await self._symbols(frozenset(symbols)),
            spot_trading=permissions.enable_spot_and_margin_trading,
            futures_trading=permissions.enable_futures,
            can_trade_spot=await self._can_trade_spot(),
            can_trade_futures=perp.can_trade,
        )

    async def _perp_config(self) -> account_rows.PerpConfig:
        path, kind = account_rows.PERP_CONFIG_PATH, account_rows.PerpConfig
        if Venue.PERP not in self._venues:
            return kind()
        try:
            return await self._get(Venue.PERP, path, (), kind, request_calls.PERP_ACCOUNT)
        except ExchangeRefusedError:
            return kind()

    async def _permissions(self) -> account_rows.Permissions:
        path, kind = account_rows.PERMISSIONS_PATH, account_rows.Permissions
        try:
            return await self._get(Venue.SPOT, path, (), kind, request_calls.KEY_PERMISSIONS)
        except (ExchangeRefusedError, ExchangeUnavailableError):
            # The testnets have no wallet API at all.
            return kind()

    async def _symbols(self, wanted: frozenset[Symbol]) -> tuple[SymbolConfiguration, ...]:
        if not wanted or Venue.PERP not in self._venues:
            return ()
        path, call = account_rows.SYMBOLS_PATH, request_calls.PERP_ACCOUNT
        try:
            rows = await self._list(Venue.PERP, path, account_rows.read_symbol, call)
        except ExchangeRefusedError:
            return ()
        return tuple(row for row in rows if row.symbol in wanted)

    async def _can_trade_spot(self) -> bool | None:
        if Venue.SPOT not in self._venues:
            return None
        try:
            return (await self._spot_account()).can_trade
        except ExchangeRefusedError:
            return None

    async def _spot_account(self) -> account_rows.SpotAccount:
        path, parameters = account_rows.SPOT_PATH, account_rows.SPOT_PARAMETERS
        kind, call = account_rows.SpotAccount, request_calls.SPOT_ACCOUNT
        return await self._get(Venue.SPOT, path, parameters, kind, call)

    async def _trade_page(
        self, venue: Venue, fixed: Parameters, call: RequestCall, page: dict[str, str]
    ) -> TradePage:
        path, decode = _TRADES[venue]
        parameters = (*fixed, *page.items(), ("limit", str(PAGE_ROWS)))
        rows = await self._get(venue, path, parameters, list[Raw], call)
        return TradePage(tuple(self._read(path, rows, decode)), len(rows))

    async def _list(
        self, venue: Venue, path: str, decode: Callable[[Raw], _T], call: RequestCall
    ) -> list[_T]:
        return self._read(path, await self._get(venue, path, (), list[Raw], call), decode)

    def _read(self, path: str, rows: Iterable[Raw], decode: Callable[[Raw], _T]) -> list[_T]:
        """Those that can be read: one that cannot does not hide the others."""
        read = [self._rows.read_row(f"GET {path}", row, decode) for row in rows]
        usable = [row for row in read if not isinstance(row, UnusableRow)]
        self._unreadable_rows += len(read) - len(usable)
        return usable

    async def _get(
        self, venue: Venue, path: str, parameters: Parameters, kind: type[_T], call: RequestCall
    ) -> _T:
        signer = await require_signer(self._key, venue)
        return await self._client.get(venue, path, parameters, kind, call=call, signer=signer)

    def _now_ms(self, venue: Venue) -> int:
        """Exchange time. Raises ClockUncertainError while it is not known."""
        return round(self._exchange_ms(venue))
