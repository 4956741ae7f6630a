"""A simulation around the real use cases of orders: placing, cancelling, look-ups, queries, private
streams, reconciliation and the relay to `orders:executed`, of two processes on one ledger.

    python -m tests.load.orders_model --seeds 2000 --processes 2

The exchange is the simulator's two desks. Time is virtual and chance comes from the seed, so a
failing seed fails again.
"""

import argparse
import logging
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from chimera_s1.adapters.binance.account_key import AccountKey
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.orders.account import BinanceExchangeAccount
from chimera_s1.adapters.binance.orders.gateway import BinanceOrderGateway
from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.simulator.matching.new_orders import NewPerpOrder, NewSpotOrder
from chimera_s1.adapters.simulator.matching.records import Origin
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.orders_wiring import (
    Exchange,
    Listeners,
    Orders,
    Rules,
    build_orders,
)
from chimera_s1.app.capabilities.execution.read_trades import ReadTrades
from chimera_s1.app.capabilities.execution.reconcile_account import ReconcileAccount
from chimera_s1.app.capabilities.execution.reconcile_venue import ReconcileVenue
from chimera_s1.app.capabilities.execution.relay_executions import (
    RELAY_CURSOR,
    build_execution_relay,
)
from chimera_s1.app.capabilities.execution.resolve_unknown import LATE_INTERVAL_MS
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.treasury.current_account_hold import CurrentAccountHold
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.events import CancelCause
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import OrderRequest, Side
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.account_stream import AccountChanged, StreamEvent, StreamResumed
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.load.model_desks import (
    LATE_EXECUTION_MS,
    SYMBOL,
    DeskClient,
    DeskExchange,
    Fault,
    ModelOrderEvents,
    ModelProcess,
    ModelStore,
    ModelStream,
    Trouble,
    Wire,
)
from tests.load.model_exchange import Crash, CrashablePort
from tests.load.orders_model_checks import violations_of
from tests.load.orders_scenario import (
    BTC,
    QTY,
    UNKNOWN_PREFIX,
    USED_AGAIN,
    NewRequests,
    Step,
    seeded,
)
from tests.virtual_time import LoopClock, run_on_virtual_time

ACTOR = "model"
UNKNOWN_MS = 30_000
"""The gateway waits for a reply, and then the outcome is looked up, for less than this."""


class Replica:
    """The order use cases of one process, wired as the service wires them."""

    def __init__(self, world: "World", number: int) -> None:
        exchange, clock = world.exchange, world.clock
        self.process = process = ModelProcess(exchange.counts)
        self.events: list[tuple[str, EventDetail]] = []
        self.store = ModelStore(world.contents, exchange.counts)
        cursors = cast(MemoryCursorStore, CrashablePort(world.cursors, process))  # type: ignore[arg-type]
        self.ledger = ExecutionLedger(
            cast(ModelStore, CrashablePort(self.store, process)),  # type: ignore[arg-type]
            clock=clock,
            new_id=world.new_id,
            draw=random.random,
            report_unknown=self._record,
            read_relayed_seq=partial(cursors.read, RELAY_CURSOR),
        )
        client = cast(HttpClient, DeskClient(exchange, process))
        gateway = BinanceOrderGateway(client, world.key)
        self.account = BinanceExchangeAccount(client, world.key, lambda _: exchange.clock.now_ms())
        self.streams = {venue: ModelStream(venue, clock) for venue in Venue}
        self.wires = {venue: Wire(exchange, stream) for venue, stream in self.streams.items()}
        at_exchange = Exchange(
            gateway=gateway,
            account=self.account,
            streams=self.streams,
            exchange_ms=world.exchange_ms,
            on_clock_suspect=lambda _: None,
        )
        self.picture = AccountPicture(self.ledger.state)
        self.reconcile = ReconcileAccount(
            [self._venue(venue, at_exchange, cursors, clock) for venue in Venue],
            clock=clock,
            record=self._record,
        )
        lease = JobLease("relay", world.leases, f"replica {number} {id(process)}", clock)
        self.relay = build_execution_relay(
            self.ledger,
            cursors,
            cast(ModelOrderEvents, CrashablePort(world.executed, process)),  # type: ignore[arg-type]
            clock=clock,
            is_mine=lease.acquire_or_renew,
        )
        self.orders = self._orders(at_exchange, clock)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    def _record(self, kind: str, detail: EventDetail) -> None:
        self.events.append((kind, detail))

    def _venue(
        self, venue: Venue, at: Exchange, cursors: MemoryCursorStore, clock: LoopClock
    ) -> ReconcileVenue:
        trades = ReadTrades(venue, at.account, cursors, self.ledger.state, served=lambda: (BTC,))
        return ReconcileVenue(
            venue,
            ledger=self.ledger,
            account=at.account,
            find=at.gateway.find,
            trades=trades,
            picture=self.picture,
            clock=clock,
            exchange_ms=at.exchange_ms,
        )

    def _orders(self, at_exchange: Exchange, clock: LoopClock) -> Orders:
        gate = TradingGate(
            kill_switch_on=lambda: False, mode=lambda: TradingMode.NORMAL, mode_known=lambda: True
        )
        return build_orders(
            self.ledger,
            at_exchange,
            Rules(
                gate=gate,
                hold=CurrentAccountHold(),
                check=_any_order,
                is_stopping=lambda: False,
            ),
            Listeners(
                notify=self._notify,
                request_reconciliation=self.reconcile.request,
                relay_error=lambda: "",
            ),
            clock,
        )

    def _notify(self, _: Venue, event: StreamEvent) -> None:
        if not isinstance(event, AccountChanged | StreamResumed):
            self.picture.apply(event)


class World:
    """What outlives a process: the exchange, the store, Redis.

    Attributes:
        sent: Every request to place an order, by client id.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self.clock = LoopClock()
        self.tasks = tasks
        self.exchange = DeskExchange(self.clock, tasks)
        self.contents = LedgerContents()
        self.cursors = MemoryCursorStore()
        self.leases = MemoryLeaseStore(self.clock)
        self.executed = ModelOrderEvents(self.exchange.counts)
        self.replicas: list[Replica] = []
        self.said: list[tuple[str, EventDetail]] = []
        self.sent: dict[str, OrderRequest] = {}
        self._task_groups: dict[int, TaskGroup] = {}
        self._ids, self._foreign = count(), count(1)
        self.requests = NewRequests(self.exchange)
        self._start = {venue: self.exchange.symbol(venue).book.bid for venue in Venue}
        signer = Signer(Credentials(Secret("k" * 64), Secret("s" * 64)), self.exchange.clock.now_ms)
        self._account_key = AccountKey(signer, "model")

    async def key(self) -> AccountKey:
        return self._account_key

    def new_id(self) -> str:
        return f"commit-{next(self._ids)}"

    def exchange_ms(self, _: Venue) -> float:
        return float(self.exchange.clock.now_ms())

    def start(self, processes: TaskGroup) -> None:
        for number in (0, 1):
            self.replicas.append(Replica(self, number))
            processes.start_soon(self._restart_forever, number)

    async def play(self, steps: Sequence[Step]) -> None:
        await self.clock.sleep_ms(3_000)
        for what, values in steps:
            await self._play(what, values)
            await self.clock.sleep_ms(1)

    async def quiesce(self, patience_ms: float) -> None:
        """No more faults, and time passes; with less *patience_ms* a person asks for rounds."""
        self._heal()
        for replica in self.replicas:
            for wire in replica.wires.values():
                wire.lose = wire.repeat = wire.delay = 0
                wire.mend()
            replica.process.steps_left = None
        await self.clock.sleep_ms(UNKNOWN_MS)
        if self.exchange.executed_late:
            await self.clock.sleep_ms(LATE_EXECUTION_MS + LATE_INTERVAL_MS)
        if patience_ms:
            await self.clock.sleep_ms(patience_ms)
            return
        for _ in range(3):
            for replica in self.replicas:
                replica.reconcile.request("on demand")
            await self.clock.sleep_ms(QUERY_LAG_MS + 3_000)

    async def _play(self, what: str, values: tuple[Any, ...]) -> None:
        match what, values:
            case "place", (number, venue, kind, side, fault):
                self._place(number, self.requests.new(venue, kind, side), fault)
            case "cancel", (number, index, fault):
                self._cancel(number, index, fault)
            case "foreign", (venue, kind, side, prefix):
                self._place_foreign(venue, kind, side, prefix)
            case "foreign cancel", (venue, index):
                self._cancel_foreign(venue, index)
            case "move", (venue, percent):
                self.exchange.symbol(venue).move_price(self._start[venue] * percent // 100)
                self.exchange.advance()
            case "wait", (duration_ms,):
                await self.clock.sleep_ms(duration_ms)
            case _:
                self._disturb(what, values)

    def _disturb(self, what: str, values: tuple[Any, ...]) -> None:
        behaviour = self.exchange.behaviour
        match what, values:
            case "stream", (number, venue, trouble):
                self._disturb_stream(self.replicas[number], venue, trouble)
            case "lag", (lag_ms,):
                behaviour.value = replace(behaviour.value, query_lag_ms=lag_ms)
            case "behave", (switch, value):
                behaviour.value = replace(behaviour.value, **{switch: value})
            case "reads fail", _:
                self.exchange.reads_fail = True
            case "append uncertain", (number,):
                self.replicas[number].store.replies_to_lose += 1
            case "store down", (number,):
                self.replicas[number].store.unavailable = True
            case "redis down", _:
                self.executed.unavailable = True
            case "heal", _:
                self._heal()
            case "crash", (number, steps):
                self.replicas[number].process.steps_left = steps
            case _:
                raise AssertionError(what)

    def _disturb_stream(self, replica: Replica, venue: Venue, trouble: str) -> None:
        wire, stream = replica.wires[venue], replica.streams[venue]
        match trouble:
            case "lose":
                wire.lose += 2
            case "repeat":
                wire.repeat += 3
            case "delay":
                wire.delay += 1
            case "deaf":
                stream.deaf = True
            case "cut":
                wire.cut()
            case _:
                wire.mend()

    def _heal(self) -> None:
        behaviour = self.exchange.behaviour
        behaviour.value = replace(behaviour.value, query_lag_ms=0)
        self.exchange.reads_fail = False
        self.executed.unavailable = False
        for replica in self.replicas:
            replica.store.unavailable = False
            replica.store.replies_to_lose = 0

    async def _restart_forever(self, number: int) -> None:
        while True:
            replica = self.replicas[number]
            self.exchange.wires += replica.wires.values()
            try:
                async with anyio.create_task_group() as tasks:
                    self._task_groups[number] = tasks
                    tasks.start_soon(replica.ledger.run)
                    tasks.start_soon(replica.relay.run)
                    tasks.start_soon(replica.reconcile.run)
                    for worker in replica.orders.workers:
                        tasks.start_soon(_run, worker)
            except BaseExceptionGroup as group:
                if group.split(Crash)[1] is not None:
                    raise
            del self._task_groups[number]
            for wire in replica.wires.values():
                self.exchange.wires.remove(wire)
            self.said += replica.events
            await self.clock.sleep_ms(1_500)
            self.replicas[number] = Replica(self, number)

    def _place(self, number: int, request: OrderRequest, fault: Fault) -> None:
        tasks, replica = self._task_groups.get(number), self.replicas[number]
        if tasks is None:
            return  # the process is down
        self.sent[request.client_id] = request
        self.exchange.faults[request.client_id] = fault

        async def place() -> None:
            try:
                await replica.orders.place.place(
                    request, f"of {request.client_id}", Purpose.ENTRY, ACTOR
                )
            except ChimeraError as error:
                self.exchange.counts[f"refused: {type(error).__name__}"] += 1

        tasks.start_soon(place)

    def _cancel(self, number: int, index: int, fault: Fault) -> None:
        tasks, replica = self._task_groups.get(number), self.replicas[number]
        opened = replica.ledger.state.open_orders()
        if tasks is None or not opened:
            return
        client_id = opened[index % len(opened)].client_id
        if fault is not Fault.EXECUTED_LATE:
            self.exchange.cancel_faults.append(fault)

        async def cancel() -> None:
            try:
                await replica.orders.cancel.cancel(client_id, CancelCause.REQUESTED, ACTOR)
            except ChimeraError as error:
                self.exchange.counts[f"cancel refused: {type(error).__name__}"] += 1

        tasks.start_soon(cancel)

    def _place_foreign(self, venue: Venue, kind: str, side: Side, prefix: str) -> None:
        client_id = f"{prefix}{next(self._foreign)}" if prefix else ""
        if prefix == USED_AGAIN:
            client_id = self._ended_id(venue)
        price = None
        if kind == "LIMIT":
            price = self.requests.price(venue, 99 if side is Side.BUY else 101)
        terms: dict[str, Any] = {
            "symbol": SYMBOL,
            "side": side.value,
            "type": kind,
            "client_id": client_id,
            "price": price,
            "time_in_force": "GTC" if price else None,
            "origin": Origin.OTHER,
        }
        exchange = self.exchange
        trades = len(exchange.spot.orders.trades()) + len(exchange.perp.orders.trades())
        try:
            if venue is Venue.SPOT:
                exchange.spot.place(NewSpotOrder(qty=QTY, **terms))
            else:
                exchange.perp.place(NewPerpOrder(qty=QTY, **terms))
        except BinanceError:
            return
        after = len(exchange.spot.orders.trades()) + len(exchange.perp.orders.trades())
        exchange.counts[Trouble.FOREIGN_FILL] += after - trades
        exchange.counts[Trouble.FOREIGN_WITH_OUR_PREFIX] += prefix == UNKNOWN_PREFIX
        exchange.counts[Trouble.ID_USED_AGAIN] += client_id in self.sent

    def _ended_id(self, venue: Venue) -> str:
        """Of an order of ours that the ledger knows to be closed; empty without one."""
        ended = (
            order.client_id
            for order in self.replicas[0].ledger.state.orders.values()
            if order.venue is venue and order.phase is OrderPhase.CLOSED and order.exchange_id
        )
        return next(ended, "")

    def _cancel_foreign(self, venue: Venue, index: int) -> None:
        desk = self.exchange.spot if venue is Venue.SPOT else self.exchange.perp
        opened = desk.orders.open(SYMBOL)
        if not opened:
            return
        order = opened[index % len(opened)]
        desk.cancel(SYMBOL, order_id=order.order_id)
        self.exchange.counts[Trouble.FOREIGN_CANCEL] += order.client_id in self.sent


async def run(steps: Sequence[Step], patience_ms: float) -> tuple[list[str], Counter[str]]:
    """The violations after *steps*, and what went wrong on the way."""
    async with anyio.create_task_group() as tasks:
        world = World(tasks)
        world.start(tasks)
        await world.play(steps)
        await world.quiesce(patience_ms)
        found = await violations_of(world)
        tasks.cancel_scope.cancel()
    counts = world.exchange.counts
    counts[Trouble.TRIGGERED] += sum(
        bool(each.child_id) for each in world.exchange.perp.every_algo()
    )
    return found, counts


async def _run(worker: Worker) -> None:
    await worker.run()


def _any_order(request: OrderRequest, *, opens: bool) -> None:
    """No rule: the desks have them."""
    del request, opens


def violations(
    seed: int, steps: Sequence[Step], *, patience_ms: float = 0, counts: Counter[str] | None = None
) -> list[str]:
    """What is wrong after *steps*; what happened on the way is added to *counts*."""
    random.seed(seed)
    found, happened = run_on_virtual_time(partial(run, steps, patience_ms))
    if counts is not None:
        counts.update(happened)
    return found


def _failing(length: int, patience_ms: float, seed: int) -> tuple[int, list[str], Counter[str]]:
    logging.disable(logging.CRITICAL)
    counts: Counter[str] = Counter()
    steps = seeded(seed, length)
    return seed, violations(seed, steps, patience_ms=patience_ms, counts=counts), counts


def _lines(counts: Counter[str]) -> Iterator[str]:
    names = [each.value for each in (*Fault, *Trouble) if each is not Fault.NONE]
    for name in (*names, *sorted(counts.keys() - set(names))):
        yield f"  {counts[name]:8} {name}\n"


def main() -> int:
    """Run many seeds and print the violations; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--patience-s", type=float, default=700.0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    total: Counter[str] = Counter()
    bad = 0
    check = partial(_failing, options.steps, options.patience_s * 1000)
    with ProcessPoolExecutor(options.processes) as pool:
        for seed, wrong, counts in pool.map(check, seeds, chunksize=5):
            total.update(counts)
            if wrong:
                bad += 1
                sys.stdout.write(f"seed {seed}: {wrong}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{options.seeds} seeds, {bad} wrong\n")
    sys.stdout.writelines(_lines(total))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
