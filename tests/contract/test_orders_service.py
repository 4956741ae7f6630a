"""Two services of one account and one ledger: they see what others trade, record each trade once,
and lose none when one is killed or a private stream hides one.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.identifiers import Venue
from tests.arango_double import arango_double
from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import finished, simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.time_limits import TIMEOUT_S

STREAM = "orders:executed"
TOKEN, RECORD = make_token(
    "trader",
    b"t" * 32,
    actor="s4",
    scopes=[Scope.READ, Scope.ORDERS_TRADE, Scope.JOBS_RUN],
    created_at=0,
)
NO_SPOT = "the key may not trade on spot: enable Spot & Margin Trading for it"
NO_FUTURES = "the key may not trade futures: enable Futures for it"
REFUSED = "-2015 Invalid API-key, IP, or permissions for action."


class Replica(Struct):
    """A service and a client of it."""

    service: Service
    http: httpx2.AsyncClient

    async def read(self, path: str) -> dict[str, Any]:
        reply = await self.http.get(f"/xchg/{path}")
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def reconcile(self) -> dict[str, Any]:
        """The venues of the result, by name."""
        reply = await self.http.post("/xchg/reconcile")
        assert reply.status_code == 200, reply.text
        return {venue["venue"]: venue for venue in reply.json()["venues"]}

    async def health(self, name: str) -> tuple[str, str]:
        """Level and detail of a component."""
        components = (await self.http.get("/health")).json()["components"]
        [found] = [each for each in components if each["name"] == name]
        return found["level"], found["detail"]

    async def lists_order(self, client_id: str) -> dict[str, Any]:
        """The row of an open order, once there is one."""
        while True:
            for row in (await self.read("orders/open"))["orders"]:
                if row["client_order_id"] == client_id:
                    return dict(row)


class Site(Struct):
    """What the services share."""

    directory: Path
    environ: dict[str, str]
    sim: SimulatorClient
    redis: Redis
    executed: StreamReader
    stack: AsyncExitStack

    async def serve(self, name: str) -> Replica:
        """A service that has read the account, with both private streams."""
        service = await self.stack.enter_async_context(
            service_process(self.directory / name, self.environ)
        )
        http = await self.stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=await service.url(),
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=TIMEOUT_S,
            )
        )
        while (await http.get("/xchg/balances")).status_code != 200:
            pass
        replica = Replica(service, http)
        for venue in Venue:
            while not (await replica.health(f"private_stream.{venue.value}"))[1].startswith(
                "connected"
            ):
                pass
        return replica

    async def place(self, side: str, kind: str, client_id: str, **fields: str) -> dict[str, Any]:
        """An order of somebody else, of 0.01 BTC on spot if *fields* say nothing else."""
        terms = {"venue": "spot", "symbol": "BTCUSDT", "qty": "0.01", **fields}
        body = {**terms, "side": side, "type": kind, "client_id": client_id}
        status, reply = await self.sim.control("POST", "/sim/orders", body)
        assert status == 201, reply
        [order] = reply["orders"]
        return dict(order)

    async def next_fill(self, order: dict[str, Any]) -> dict[str, str]:
        """The next entries, which must be the trades of that order of somebody else: one, or more
        where the best price has too little. The last one, with the quantity of all.
        """
        [fill] = await self.next_fills(order)
        return fill

    async def next_fills(self, *orders: dict[str, Any]) -> list[dict[str, str]]:
        """The next entries, which must be the trades of these orders, in any order."""
        missing = {str(order["order_id"]): Decimal(order["qty"]) for order in orders}
        last: dict[str, dict[str, str]] = {}
        while any(missing.values()):
            _, fields = await self.executed.next()
            said = (fields["kind"], fields["source"], fields["entry_id"])
            assert said == ("FILL", "exchange", "")
            missing[fields["order_id"]] -= Decimal(fields["qty"])
            assert missing[fields["order_id"]] >= 0, "published twice"
            last[fields["order_id"]] = fields
        return [{**last[str(order["order_id"])], "qty": order["qty"]} for order in orders]


@pytest.fixture
async def site(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Site]:
    write_token_file(tmp_path / "tokens.json", [RECORD])
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(3 * TIMEOUT_S))
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        [address] = redis.addresses
        simulator = await stack.enter_async_context(
            simulator_process("--symbols", "BTCUSDT", "--rate", "20")
        )
        double = stack.enter_context(arango_double(coordinators=1))
        client = await stack.enter_async_context(redis_at(address.port))
        environ = {
            **simulated(simulator.ready, "BTCUSDT"),
            "S1_BINANCE_KEY": simulator.ready["api_key"],
            "S1_BINANCE_SECRET": simulator.ready["api_secret"],
            "S1_REDIS_ADDRESSES": str(address),
            "S1_DB_ARANGO_URI": double.urls[0],
            "S1_DB_ARANGO_USER": "root",
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
        }
        sim = await stack.enter_async_context(simulator_client(simulator.ready))
        yield Site(tmp_path, environ, sim, client, StreamReader(client, STREAM), stack)


async def test_trades_of_others_are_seen_once_and_survive_a_gap_and_a_kill(site: Site) -> None:
    """In one pair of services, because starting them takes longest."""
    relaying = await site.serve("one")
    await a_trade_of_others_reaches_the_stream(site)
    replicas = (relaying, other := await site.serve("other"))
    await each_lists_an_order_of_others(site, replicas)
    await two_replicas_publish_a_trade_once(site)
    await positions_and_balances_are_shown(replicas)
    await a_reconciliation_finds_what_the_streams_have_said(other)
    await a_reconciliation_finds_a_trade_that_the_streams_hid(site, other)
    relaying.service.process.kill()
    await relaying.service.ended()
    unpublished = await site.place("BUY", "MARKET", "web_killed")
    await missing_permissions_are_said(site, other)
    await nothing_is_lost(site, unpublished)


async def a_trade_of_others_reaches_the_stream(site: Site) -> None:
    placed = await site.place("BUY", "MARKET", "s4-first", venue="perp")

    fill = await site.next_fill(placed)

    assert (fill["venue"], fill["symbol"], fill["side"]) == ("perp", "BTCUSDT", "BUY")
    assert (fill["qty"], fill["client_order_id"]) == ("0.01", "s4-first")


async def each_lists_an_order_of_others(site: Site, replicas: tuple[Replica, ...]) -> None:
    await site.place("BUY", "LIMIT", "web_rests", price="30000", time_in_force="GTC")

    for replica in replicas:
        row = await replica.lists_order("web_rests")
        shown = (row["venue"], row["side"], row["status"], row["price"])
        assert shown == ("spot", "BUY", "NEW", "30000")
        assert row["ours"] is False


async def two_replicas_publish_a_trade_once(site: Site) -> None:
    """The entry of the second trade comes next: there is no second one of the first."""
    await site.next_fill(await site.place("BUY", "MARKET", "web_one"))
    await site.next_fill(await site.place("SELL", "MARKET", "web_two", qty="0.009"))


async def positions_and_balances_are_shown(replicas: tuple[Replica, ...]) -> None:
    for replica in replicas:
        [position] = (await replica.read("positions"))["positions"]
        assert (position["symbol"], position["qty"]) == ("BTCUSDT", "0.01")
        rows = (await replica.read("balances"))["balances"]
        held = {(row["wallet"], row["asset"]): row for row in rows}
        assert {("SPOT", "USDT"), ("SPOT", "BTC"), ("FUT", "USDT")} <= held.keys()


async def a_reconciliation_finds_what_the_streams_have_said(replica: Replica) -> None:
    found = await replica.reconcile()

    assert [row["client_order_id"] for row in found["spot"]["foreign"]] == ["web_rests"]
    for venue in found.values():
        assert (venue["missed_fills"], venue["differences"], venue["problems"]) == (0, [], [])

    environ = {"S1_URL": await replica.service.url(), "S1_TOKEN": TOKEN}
    code, out, err = await finished("reconcile", environment=environ)
    assert (code, err) == (0, ""), out
    lines = out.splitlines()
    assert "spot: 0 matched, 0 repaired, 1 foreign, 0 different" in lines
    assert "the account agrees with the ledger" in lines[-1]


async def a_reconciliation_finds_a_trade_that_the_streams_hid(site: Site, replica: Replica) -> None:
    await site.sim.arm("user:spot:executionReport", "gap", times=100)
    hidden = await site.place("BUY", "MARKET", "web_hidden")
    _, books = await site.sim.control("GET", "/sim/trades")
    wanted = ("spot", hidden["order_id"])
    trades = [row for row in books["trades"] if (row["venue"], row["order_id"]) == wanted]
    assert trades
    assert await site.sim.fired() == [1 + len(trades)], "the order and its trades"
    await site.sim.control("DELETE", "/sim/faults")
    shown = await site.place("BUY", "MARKET", "web_shown")

    await replica.reconcile()

    # The service reconciles each minute, too: it may have been first.
    _, found = await site.next_fills(shown, hidden)
    assert (found["client_order_id"], found["status"]) == ("web_hidden", "FILLED")


async def missing_permissions_are_said(site: Site, replica: Replica) -> None:
    """`doctor` says the same: see test_wrong_permissions."""
    wrong = {"permissions": {"spot_trading": False, "futures": False}}
    status, _ = await site.sim.control("POST", "/sim/wallet", wrong)
    assert status == 200

    reply = await replica.http.post("/xchg/jobs/execution.account/run")
    assert reply.status_code == 202, reply.text
    while "may not trade on spot" not in (await replica.health("account"))[1]:
        pass
    level, detail = await replica.health("account")
    assert level == "ORANGE"
    assert NO_SPOT in detail
    assert NO_FUTURES in detail
    [problem, *_] = (await replica.reconcile())["perp"]["problems"]
    assert REFUSED in problem


async def nothing_is_lost(site: Site, unpublished: dict[str, Any]) -> None:
    """The killed service was to publish it. The other one does when the lease has ended, and may
    repeat what the killed one has published, under the same event ids.
    """
    published: dict[str, Decimal] = {}
    while sum(published.values()) < Decimal(unpublished["qty"]):
        _, fields = await site.executed.next()
        if fields["order_id"] == str(unpublished["order_id"]):
            published[fields["event_id"]] = Decimal(fields["qty"])

    entries: Any = await site.redis.xrange(STREAM)
    trades: dict[str, dict[str, str]] = {}
    for _, entry in entries:
        assert trades.setdefault(entry["event_id"], entry) == entry
    _, books = await site.sim.control("GET", "/sim/trades")
    sums: dict[str, Counter[tuple[str, str, Decimal]]] = {"books": Counter(), "stream": Counter()}
    for where, rows in (("books", books["trades"]), ("stream", trades.values())):
        for row in rows:
            sums[where][row["venue"], str(row["order_id"]), Decimal(row["qty"])] += 1
    assert sums["stream"] == sums["books"]
