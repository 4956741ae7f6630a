"""Whatever is lost, late or unread: once it is quiet, the picture is what the exchange has."""

from decimal import Decimal
from functools import partial

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_status import is_closed
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.fakes.manual_clock import settle
from tests.unit.app.capabilities.execution.reconcile_rig import Replica, Shared, fill
from tests.unit.domain.execution.test_observation import BTC, LIMIT, said

ETH = Symbol("ETHUSDT")
CALLS = ("open_orders.perp", "positions", "fills.perp", "fills_of_order.perp", "find")

ACTIONS = st.one_of(
    st.tuples(st.just("place"), st.none()),
    st.tuples(
        st.just("end"),
        st.tuples(st.sampled_from(["FILLED", "CANCELED"]), st.sampled_from([0, 1]), st.booleans()),
    ),
    st.tuples(st.just("foreign order"), st.booleans()),
    st.tuples(st.just("foreign trade"), st.tuples(st.sampled_from([BTC, ETH]), st.booleans())),
    st.tuples(st.just("phantom"), st.sampled_from([1, -2])),
    st.tuples(st.just("advance"), st.sampled_from([1, 700, 4_000, 61_000])),
    st.tuples(st.just("lag"), st.sampled_from([0, 1_500, QUERY_LAG_MS])),
    st.tuples(st.just("fail"), st.sampled_from(CALLS)),
    st.tuples(st.just("heal"), st.none()),
    st.tuples(st.just("resume"), st.none()),
)


class History:
    """Plays actions; every event reaches one of two replicas, or none."""

    def __init__(self, shared: Shared, replicas: list[Replica]) -> None:
        self.shared = shared
        self.exchange = shared.exchange
        self.replicas = replicas
        self.phantoms = 0
        self.trades = 0
        self._orders = 0
        self._open: list[tuple[str, str]] = []
        """Client id and exchange id."""

    async def play(self, action: str, value: object) -> None:
        match action, value:
            case "place", None:
                await self._place()
            case "end", (str(status), int(qty), bool(heard)) if self._open:
                await self._end(status, qty, heard=heard)
            case "foreign order", bool(heard):
                self._orders += 1
                self._open.append((f"web_{self._orders}", str(self._orders)))
                await self._say("NEW", 0, self._open[-1], heard=heard)
            case "foreign trade", (str(symbol), bool(heard)):
                await self._trade("900", Symbol(symbol), heard=heard)
            case "phantom", int(qty):
                self.phantoms += 1
                self.exchange.move_position(BTC, Decimal(qty))
            case _:
                await self._disturb(action, value)

    async def _disturb(self, action: str, value: object) -> None:
        match action, value:
            case "advance", int(duration_ms):
                await settle()
                await self.shared.clock.advance(duration_ms)
            case "lag", int(lag_ms):
                self.exchange.lag_ms = lag_ms
            case "fail", str(call):
                self.exchange.unavailable.add(call)
            case "heal", None:
                self.exchange.unavailable.clear()
            case "resume", None:
                self.replicas[0].reconcile.request("private stream of perp: lost")
            case _:
                assert action == "end"  # nothing is open

    async def settle(self) -> None:
        self.exchange.lag_ms = 0
        self.exchange.unavailable.clear()
        await self.shared.clock.advance(20_000)
        for _ in range(4):
            for replica in self.replicas:
                replica.reconcile.request("test")
            await settle()
            await self.shared.clock.advance(QUERY_LAG_MS + 2_000)

    async def _place(self) -> None:
        self._orders += 1
        client_id, exchange_id = f"s1-{self._orders}-e", str(self._orders)
        request = replace(LIMIT, client_id=client_id)
        await self.replicas[0].place(request, exchange_id=exchange_id)
        self._open.append((client_id, exchange_id))

    async def _end(self, status: str, qty: int, *, heard: bool) -> None:
        order = self._open.pop(0)
        if qty:
            await self._trade(order[1], BTC, heard=heard)
        await self._say(status, qty, order, heard=heard)

    async def _say(self, status: str, qty: int, order: tuple[str, str], *, heard: bool) -> None:
        report = replace(
            said(status, qty, self.shared.clock.now_ms()), client_id=order[0], exchange_id=order[1]
        )
        self.exchange.say(report)
        if heard:
            for replica in self.replicas:
                replica.picture.apply(report)
            await self.replicas[-1].ledger.record("stream", report)

    async def _trade(self, order_id: str, symbol: Symbol, *, heard: bool) -> None:
        self.trades += 1
        report = replace(fill(self.trades, self.shared.clock, order=order_id), symbol=symbol)
        self.exchange.trade(report)
        if heard:
            await self.replicas[-1].ledger.record("stream", report)


async def check(actions: list[tuple[str, object]]) -> None:
    shared = Shared()
    replicas = [Replica(shared), Replica(shared)]
    history = History(shared, replicas)
    for replica in replicas:
        replica.served = (BTC, ETH)
    async with replicas[0].running(), replicas[1].running():
        for action, value in actions:
            await history.play(action, value)
        await history.settle()
        positions = {each.symbol: each.qty for each in await shared.exchange.positions()}
        opened = await shared.exchange.open_orders(Venue.PERP)
    for replica in replicas:
        await replica.ledger.refresh()
        state = replica.ledger.state
        assert len(state.fills) == history.trades
        known = {key.symbol: value.qty for key, value in state.positions.positions.items()}
        assert {key: qty for key, qty in known.items() if qty} == {
            key: qty for key, qty in positions.items() if qty
        }
        shown = {row.order_id for row in replica.picture.open_orders()}
        assert shown == {report.exchange_id for report in opened.orders}
        for order in state.orders.values():
            assert order.fills.qty == order.filled_qty
            assert order.is_open == (not is_closed(order.family, order.status))
        assert replica.reconcile.last is not None
        assert replica.reconcile.last.agrees
    unexplained = [
        kind
        for replica in replicas
        for kind in replica.kinds()
        if kind == "execution.position_unexplained"
    ]
    assert len(unexplained) <= history.phantoms


@settings(max_examples=30)
@given(st.lists(ACTIONS, max_size=25))
def test_the_picture_agrees_with_the_exchange_after_any_history(
    actions: list[tuple[str, object]],
) -> None:
    anyio.run(partial(check, actions))
