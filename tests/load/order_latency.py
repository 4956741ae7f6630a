"""From a request for an order to the order on the wire, and from its end on the private stream to
the record: `make bench-orders`.

The service's own parts, ccxt and Binance's official SDKs place the same LIMIT order at the same
simulator, in turn, through a relay that says when each order passes (`order_tap`). Figures are
printed, nothing is asserted.
"""

import argparse
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import anyio
from binance_common.configuration import ConfigurationRestAPI
from msgspec import Struct, field

from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.app.capabilities.execution.check_order_rules import CheckOrderRules
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.execution.order_request import (
    Limit,
    OneWay,
    OrderRequest,
    PerpOrder,
    Side,
    SpotOrder,
    TimeInForce,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, LedgerHead
from chimera_s1.domain.ports.event_store import AppendResult, EventStore
from tests.ccxt_clients import point_at_simulator
from tests.contract.binance_sdks import futures_sdk, spot_sdk
from tests.load.figures import NothingMeasuredError, quantile_of
from tests.load.machine import describe, divide_cores, on_core
from tests.load.order_tap import Passage
from tests.load.processes import Child, child
from tests.load.report import Report, say
from tests.order_instance import OrderInstance, order_instance
from tests.processes import simulator_process
from tests.sample_instruments import BTC_PERP, BTC_SPOT
from tests.sample_quotes import quote
from tests.simulator_client import SimulatorClient, simulator_client

ROUNDS, ROUNDS_QUICK, WARM_UP_ROUNDS = 100, 10, 2
PAUSE_S = 1.3
"""Between rounds: an instance may use half of the 50 spot orders in 10 s."""

QUOTES = 1_000
TAPPED = ("spot_rest_url", "perp_rest_url", "spot_ws_url", "perp_ws_url")
BTC = Symbol("BTCUSDT")
QTY = Decimal("0.01")
OURS, CCXT, SDK = "chimera-s1", "ccxt", "official SDK"
CCXT_SYMBOLS = {Venue.SPOT: "BTC/USDT", Venue.PERP: "BTC/USDT:USDT"}
CCXT_CLIENTS = {Venue.SPOT: "binance", Venue.PERP: "binanceusdm"}

Place = Callable[[str, Decimal], Awaitable[object]]
"""Places an order with a client id and a price."""


class TimedStore(EventStore):
    """Attributes:
    append_ms: Of each call.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.append_ms: list[float] = []

    @property
    def ledger(self) -> str:
        return self._store.ledger

    async def append(self, commit: Commit) -> AppendResult:
        began_s = time.perf_counter()
        result = await self._store.append(commit)
        self.append_ms.append((time.perf_counter() - began_s) * 1000)
        return result

    async def head(self) -> LedgerHead:
        return await self._store.head()

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        return await self._store.read(after, limit)

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        return await self._store.read_stream(stream)


class Times(Struct):
    """Ms of each order of one venue.

    Attributes:
        wire: By client: from the request to its first byte at the relay.
        append: The durable append of the intent, which is part of `wire`.
        recorded: From the end of an order at the relay to its record in the ledger.
    """

    wire: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], CCXT: [], SDK: []})
    append: list[float] = field(default_factory=list)
    recorded: list[float] = field(default_factory=list)

    @property
    def rest(self) -> list[float]:
        return [
            all_ms - kept_ms for all_ms, kept_ms in zip(self.wire[OURS], self.append, strict=True)
        ]


class Bench:
    def __init__(
        self,
        sim: SimulatorClient,
        tap: Child,
        instance: OrderInstance,
        store: TimedStore,
        peers: Mapping[Venue, Mapping[str, Place]],
    ) -> None:
        self._sim = sim
        self._tap = tap
        self._instance = instance
        self._store = store
        self._peers = peers
        self._number = 0
        self.times = {venue: Times() for venue in Venue}

    async def round(self, number: int) -> None:
        """One order of each client on each venue; each is cancelled at once.

        The clients take turns in being first: after a pause the caches of the processor are cold.
        """
        for venue in Venue:
            price = await self._price(venue)
            clients = [OURS, *self._peers[venue]]
            first = number % len(clients)
            for name in clients[first:] + clients[:first]:
                if name == OURS:
                    await self._place_ours(venue, price)
                else:
                    await self._place_theirs(venue, name, self._peers[venue][name], price)

    async def _place_ours(self, venue: Venue, price: Decimal) -> None:
        self._number += 1
        client_id = f"s1-bench-{self._number}"
        request = _limit(venue, client_id, price)
        self._store.append_ms.clear()
        began_s = time.perf_counter()
        placed = await self._instance.place(request)
        if not placed.exchange_id:
            raise NothingMeasuredError(f"{client_id} was not accepted: {placed.message}")
        times = self.times[venue]
        times.append.append(self._store.append_ms[0])
        times.wire[OURS].append((await self._passage("order", client_id) - began_s) * 1000)
        await self._cancel(venue, client_id)
        await self._instance.known(client_id, lambda order: not order.is_open)
        recorded_s = time.perf_counter()
        ended_s = await self._passage("end", client_id)
        times.recorded.append((recorded_s - ended_s) * 1000)

    async def _place_theirs(self, venue: Venue, name: str, place: Place, price: Decimal) -> None:
        self._number += 1
        client_id = f"bench-{self._number}"
        began_s = time.perf_counter()
        await place(client_id, price)
        at_s = await self._passage("order", client_id)
        self.times[venue].wire[name].append((at_s - began_s) * 1000)
        await self._cancel(venue, client_id)
        await self._passage("end", client_id)

    async def _price(self, venue: Venue) -> Decimal:
        """Too low to be filled."""
        prefix = "/api/v3" if venue is Venue.SPOT else "/fapi/v1"
        _, ticker, _ = await self._sim.rest(venue.value, f"{prefix}/ticker/price?symbol={BTC}")
        return (Decimal(ticker["price"]) * Decimal("0.98")).quantize(Decimal(1))

    async def _cancel(self, venue: Venue, client_id: str) -> None:
        body = {"venue": venue.value, "symbol": BTC, "client_id": client_id}
        status, answer = await self._sim.control("POST", "/sim/orders/cancel", body)
        if status != 200:
            raise NothingMeasuredError(f"{client_id} was not cancelled: {answer}")

    async def _passage(self, what: str, client_id: str) -> float:
        passage = Passage(**await self._tap.line())
        if (passage.what, passage.client_id) != (what, client_id):
            raise NothingMeasuredError(f"{passage} passed instead of the {what} of {client_id}")
        return passage.at_s


def _limit(venue: Venue, client_id: str, price: Decimal) -> OrderRequest:
    body = Limit(qty=QTY, price=price, time_in_force=TimeInForce.GTC)
    if venue is Venue.SPOT:
        return SpotOrder(client_id=client_id, symbol=BTC, side=Side.BUY, body=body)
    scope = OneWay(reduce_only=False)
    return PerpOrder(client_id=client_id, symbol=BTC, side=Side.BUY, scope=scope, body=body)


def _rules() -> CheckOrderRules:
    """As in the service, with quotes of as many instruments as a large one serves."""
    board = QuoteBoard()
    board.post([quote(f"{venue.value}/BTCUSDT") for venue in Venue])
    board.post([quote(f"perp/C{number}USDT") for number in range(QUOTES)])
    specs = {spec.instrument: spec for spec in (BTC_SPOT, BTC_PERP)}

    def prices(instrument: InstrumentId) -> CurrentPrices | None:
        newest = board.newest(instrument)
        assert newest is not None
        return CurrentPrices(bid=Decimal(str(newest.bid)), ask=Decimal(str(newest.ask)))

    return CheckOrderRules(specs.get, prices)


def _sdk_place(rest: Any) -> Place:
    async def place(client_id: str, price: Decimal) -> None:
        # It blocks: a thread would only add to its time.
        rest.new_order(
            symbol=str(BTC),
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=float(QTY),
            price=float(price),
            new_client_order_id=client_id,
        ).data()

    return place


@asynccontextmanager
async def _ccxt_place(venue: Venue, urls: Mapping[str, str]) -> AsyncIterator[Place]:
    made = getattr(import_module("ccxt.async_support"), CCXT_CLIENTS[venue])
    # Without its own limit of requests, which would wait 50 ms and more.
    options = {"apiKey": DEMO_KEY.key, "secret": DEMO_KEY.secret, "enableRateLimit": False}
    client = point_at_simulator(made(options), urls)

    async def place(client_id: str, price: Decimal) -> None:
        parameters = {"newClientOrderId": client_id}
        await client.create_order(
            CCXT_SYMBOLS[venue], "limit", "buy", float(QTY), float(price), parameters
        )

    try:
        await client.load_markets()
        yield place
    finally:
        await client.close()


def _sdks(urls: Mapping[str, str]) -> Mapping[Venue, Place]:
    def configuration(url: str) -> ConfigurationRestAPI:
        return ConfigurationRestAPI(
            api_key=DEMO_KEY.key, api_secret=DEMO_KEY.secret, base_path=urls[url]
        )

    spot = spot_sdk(config_rest_api=configuration("spot_rest_url")).rest_api
    perp = futures_sdk(config_rest_api=configuration("perp_rest_url")).rest_api
    return {Venue.SPOT: _sdk_place(spot), Venue.PERP: _sdk_place(perp)}


async def run(rounds: int) -> None:
    cores = divide_cores()
    say(f"{describe(cores)} (sender: the simulator and the relay; no Redis)")
    with TemporaryDirectory(prefix="chimera-bench-") as name, on_core(cores.sender):
        async with simulator_process("--symbols", str(BTC), "--rate", "20") as simulator:
            urls = simulator.ready
            targets = [urlsplit(urls[each]).netloc for each in TAPPED]
            async with child(cores.sender, "tests.load.order_tap", *targets) as tap:
                ports = (await tap.line())["ports"]
                tapped = {
                    each: f"{urlsplit(urls[each]).scheme}://127.0.0.1:{port}"
                    for each, port in zip(TAPPED, ports, strict=True)
                }
                with on_core(cores.service[0]):
                    path = Path(name) / "orders.db"
                    times = await _measure({**urls, **tapped}, path, tap, rounds)
    _print(times, rounds)


async def _measure(
    urls: dict[str, str], path: Path, tap: Child, rounds: int
) -> Mapping[Venue, Times]:
    sdks = _sdks(urls)
    async with SqliteDatabase(path) as database:
        store = TimedStore(SqliteEventStore(database, "execution"))
        async with (
            simulator_client(urls) as sim,
            _ccxt_place(Venue.SPOT, urls) as spot,
            _ccxt_place(Venue.PERP, urls) as perp,
            order_instance(urls, store, check=_rules()) as instance,
        ):
            await instance.streaming()
            peers = {
                Venue.SPOT: {CCXT: spot, SDK: sdks[Venue.SPOT]},
                Venue.PERP: {CCXT: perp, SDK: sdks[Venue.PERP]},
            }
            bench = Bench(sim, tap, instance, store, peers)
            for number in range(WARM_UP_ROUNDS + rounds):
                if number == WARM_UP_ROUNDS:
                    bench.times = {venue: Times() for venue in Venue}
                await bench.round(number)
                await anyio.sleep(PAUSE_S)
    return bench.times


def _print(times: Mapping[Venue, Times], rounds: int) -> None:
    report = Report()
    for venue, measured in times.items():
        rest = measured.rest
        lines: list[tuple[str, ...]] = [("", "p50", "p99", "p50 of ours without the append")]
        for name, wire in measured.wire.items():
            lines.append((name, *_cells(wire), _ratio(rest, wire)))
        lines += [
            ("of ours: the durable append", *_cells(measured.append), ""),
            ("of ours: without the append", *_cells(rest), ""),
        ]
        report.grid(
            f"A {venue.value} LIMIT order, from the request to its first byte on the wire", lines
        )
    lines = [("", "p50", "p99")]
    lines += [(venue.value, *_cells(each.recorded)) for venue, each in times.items()]
    report.grid(
        "An event of the private stream, from the simulator to the ledger", lines,
        f"{rounds} orders of each client on each venue, in turn.",
    )  # fmt: skip


def _cells(measured: list[float]) -> tuple[str, str]:
    return f"{quantile_of(measured, 0.5):.2f} ms", f"{quantile_of(measured, 0.99):.2f} ms"


def _ratio(rest: list[float], wire: list[float]) -> str:
    return f"{quantile_of(rest, 0.5) / quantile_of(wire, 0.5):.2f} of it"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help=f"{ROUNDS_QUICK} rounds")
    options = parser.parse_args()
    anyio.run(
        run,
        ROUNDS_QUICK if options.quick else options.rounds,
        backend_options={"use_uvloop": True},
    )
