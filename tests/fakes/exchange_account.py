"""An exchange in memory, as its reads show it: orders, trades, positions, balances, with lag."""

from collections.abc import Iterator
from decimal import Decimal

from anyio.lowlevel import checkpoint
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.execution.account_configuration import AccountConfiguration
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRef
from chimera_s1.domain.execution.order_status import is_closed
from chimera_s1.domain.execution.position_check import PositionKey, key_of, signed_qty
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    OrderListReport,
    OrderReport,
    PositionReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_account import OpenOrders
from chimera_s1.domain.ports.order_gateway import OrderFound, OrderNotFound

_OrderKey = tuple[OrderFamily, Symbol, str]


class _Said(Struct, frozen=True):
    """Visible in reads from *visible_ms* on."""

    report: OrderReport | OrderListReport
    visible_ms: int


class FakeExchangeAccount:
    """Implements `domain.ports.exchange_account.ExchangeAccount`, and `OrderGateway.find`.

    Attributes:
        lag_ms: What happens now is visible in reads so much later.
        unavailable: Calls that fail: `open_orders.perp`, `positions`, `fills.spot`, `find`, ...
        refused: Calls that the key may not make.
        unreadable: Calls whose replies have one more row, which cannot be read.
        calls: Every call so far.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: dict[_OrderKey, list[_Said]] = {}
        self._fills: list[tuple[FillReport, int]] = []
        self._moves: list[tuple[PositionKey, Decimal, int]] = []
        self._balances: dict[tuple[str, str], BalanceReport] = {}
        self.lag_ms = 0
        self.unavailable: set[str] = set()
        self.refused: set[str] = set()
        self.unreadable: set[str] = set()
        self.calls: list[str] = []
        self.unreadable_rows = 0
        self.account = AccountConfiguration(
            hedge_mode=False,
            multi_assets=False,
            symbols=(),
            spot_trading=True,
            futures_trading=True,
            can_trade_spot=True,
            can_trade_futures=True,
        )

    def say(self, report: OrderReport | OrderListReport) -> None:
        """The order is so now; `forget` removes one."""
        self._orders.setdefault(_key(report), []).append(_Said(report, self._visible_ms()))

    def forget(self, report: OrderReport | OrderListReport) -> None:
        del self._orders[_key(report)]

    def trade(self, fill: FillReport) -> None:
        """A trade of the account; a futures position moves with it."""
        self._fills.append((fill, self._visible_ms()))
        if fill.venue is Venue.PERP:
            self._moves.append((key_of(fill), signed_qty(fill), self._visible_ms()))

    def move_position(self, symbol: Symbol, qty: Decimal, side: str = "BOTH") -> None:
        """A position changes without a trade."""
        self._moves.append((PositionKey(symbol, side), qty, self._visible_ms()))

    def set_balance(self, wallet: str, asset: str, free: Decimal) -> None:
        self._balances[wallet, asset] = BalanceReport(
            wallet=wallet, asset=asset, free=free, locked=Decimal(0), at_ms=self._clock.now_ms()
        )

    async def open_orders(self, venue: Venue) -> OpenOrders:
        read_from_ms = self._clock.now_ms()
        await self._call(f"open_orders.{venue.value}")
        reports = [
            report
            for (family, _, _), said in self._orders.items()
            if family.venue is venue and (report := self._visible(said)) is not None
            if not is_closed(family, report.status)
        ]
        return OpenOrders(
            orders=tuple(each for each in reports if isinstance(each, OrderReport)),
            lists=tuple(each for each in reports if isinstance(each, OrderListReport)),
            read_from_ms=read_from_ms,
        )

    async def positions(self) -> tuple[PositionReport, ...]:
        await self._call("positions")
        totals: dict[PositionKey, Decimal] = {}
        for key, qty, visible_ms in self._moves:
            if visible_ms <= self._clock.now_ms():
                totals[key] = totals.get(key, Decimal(0)) + qty
        return tuple(
            PositionReport(
                symbol=key.symbol,
                position_side=key.side,
                qty=qty,
                entry_price=Decimal(100),
                at_ms=self._clock.now_ms(),
            )
            for key, qty in totals.items()
        )

    async def balances(self, venue: Venue) -> tuple[BalanceReport, ...]:
        await self._call(f"balances.{venue.value}")
        wallet = "SPOT" if venue is Venue.SPOT else "FUT"
        return tuple(each for each in self._balances.values() if each.wallet == wallet)

    async def fills(
        self, venue: Venue, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> tuple[FillReport, ...]:
        await self._call(f"fills.{venue.value}")
        return tuple(
            fill for fill in self._visible_fills(venue, symbol) if start_ms <= fill.at_ms <= end_ms
        )

    async def fills_of_order(
        self, venue: Venue, symbol: Symbol, order_id: str
    ) -> tuple[FillReport, ...]:
        await self._call(f"fills_of_order.{venue.value}")
        fills = self._visible_fills(venue, symbol)
        return tuple(fill for fill in fills if fill.order_id == order_id)

    async def configuration(self, symbols: tuple[Symbol, ...]) -> AccountConfiguration:
        await self._call("configuration")
        rows = tuple(each for each in self.account.symbols if each.symbol in symbols)
        return replace(self.account, symbols=rows)

    async def find(self, ref: OrderRef) -> OrderFound | OrderNotFound:
        await self._call("find")
        for (family, symbol, exchange_id), said in self._orders.items():
            report = self._visible(said)
            if report is None or (family, symbol) != (ref.family, ref.symbol):
                continue
            found = exchange_id if ref.exchange_id else report.client_id
            if found == (ref.exchange_id or ref.client_id):
                return OrderFound(reports=(_as_read(report),))
        return OrderNotFound(message="Order does not exist.")

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        await checkpoint()
        if name in self.unreadable:
            self.unreadable_rows += 1
        if name in self.unavailable:
            raise ExchangeUnavailableError(f"{name}: no reply")
        if name in self.refused:
            raise ExchangeRefusedError(f"{name}: -2015 Invalid API-key, IP, or permissions")

    def _visible_ms(self) -> int:
        return self._clock.now_ms() + self.lag_ms

    def _visible(self, said: list[_Said]) -> OrderReport | OrderListReport | None:
        visible = [each for each in said if each.visible_ms <= self._clock.now_ms()]
        return _as_read(visible[-1].report) if visible else None

    def _visible_fills(self, venue: Venue, symbol: Symbol) -> Iterator[FillReport]:
        for fill, visible_ms in self._fills:
            if visible_ms <= self._clock.now_ms() and (fill.venue, fill.symbol) == (venue, symbol):
                yield replace(fill, client_id="", source=ReportSource.READ)


def _key(report: OrderReport | OrderListReport) -> _OrderKey:
    family = report.family if isinstance(report, OrderReport) else OrderFamily.SPOT_LIST
    return family, report.symbol, report.exchange_id


def _as_read(report: OrderReport | OrderListReport) -> OrderReport | OrderListReport:
    return replace(report, source=ReportSource.READ)
