"""`/xchg/orders/open`, `/xchg/positions`, `/xchg/balances`, `/xchg/reconcile`."""

from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest
from msgspec.structs import replace

from chimera_s1.app.capabilities.execution.read_account import ReadAccount
from chimera_s1.app.cli.reconcile.run import Reconciled, lines
from chimera_s1.domain.access.scopes import Scope
from tests.contract.account_in_memory import AccountInMemory
from tests.contract.web_parts import READER, READER_TOKEN, WebParts
from tests.contract.web_with_tokens import make_test_token
from tests.fakes.token_store import MemoryTokenStore
from tests.unit.domain.execution.test_observation import LIMIT, planned, said, trade

TRADER_TOKEN, TRADER = make_test_token("trader", Scope.ORDERS_TRADE)
TOKENS = {"GET": READER_TOKEN, "POST": TRADER_TOKEN}
FOREIGN = replace(said("NEW", 0, 10), client_id="s4-77", exchange_id="77")


class Desk:
    """The application over an account in memory."""

    def __init__(self, *, enabled: bool = True, limit_s: float = 30.0) -> None:
        self.account = AccountInMemory(limit_s=limit_s)
        self.replica, self.exchange = self.account.replica, self.account.exchange
        self.reconciling = self.account.reconciling
        self.parts = WebParts(
            account=self.account.read if enabled else ReadAccount(None),
            tokens=MemoryTokenStore([TRADER, READER]),
            only={"account"},
        )

    async def call(
        self, path: str, method: str = "GET", token: str = READER_TOKEN
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.parts.client() as client:
            return await client.request(method, f"/xchg/{path}", headers=headers)

    async def get(self, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.call(path)).raise_for_status().json()
        return shown

    async def reconcile(self) -> dict[str, Any]:
        reply = await self.call("reconcile", "POST", TRADER_TOKEN)
        found: dict[str, Any] = reply.raise_for_status().json()
        return found


async def test_open_orders_show_ours_first_and_those_of_others() -> None:
    desk = Desk()
    await desk.replica.ledger.plan(planned(LIMIT), "test")
    desk.exchange.say(FOREIGN)
    desk.exchange.say(said("NEW", 0, 10))
    async with desk.reconciling():
        shown = await desk.get("orders/open")
        first = await desk.get("orders/open?limit=1")
        spot = await desk.get("orders/open?venue=spot")

    ours, foreign = shown["orders"]
    assert shown["total"] == 2
    assert shown["read_at"].keys() == {"spot", "perp"}
    assert (ours["ours"], ours["client_order_id"], ours["entry_id"]) == (
        True,
        LIMIT.client_id,
        "entry",
    )
    assert (foreign["ours"], foreign["label"], foreign["client_order_id"]) == (False, "s4", "s4-77")
    assert (ours["qty"], ours["filled_qty"], ours["status"]) == ("2", "0", "NEW")
    assert (first["total"], first["orders"]) == (2, [ours])
    assert (spot["total"], spot["orders"]) == (0, [])


async def test_positions_and_balances_are_exact_text() -> None:
    desk = Desk()
    desk.exchange.trade(trade("1"))
    desk.exchange.set_balance("SPOT", "BNB", Decimal("1.50E+2"))
    async with desk.reconciling():
        positions = await desk.get("positions")
        balances = await desk.get("balances")

    (position,) = positions["positions"]
    assert (position["symbol"], position["qty"], position["known_qty"]) == ("BTCUSDT", "1", "1")
    (balance,) = balances["balances"]
    assert (balance["asset"], balance["free"], balance["locked"]) == ("BNB", "150", "0")


async def test_a_reconciliation_says_what_it_found_and_the_command_prints_it() -> None:
    desk = Desk()
    await desk.replica.ledger.plan(planned(LIMIT), "test")
    desk.exchange.say(said("NEW", 0, 10))
    async with desk.reconciling():
        desk.exchange.say(said("FILLED", 2, 20))
        desk.exchange.trade(trade("1"))
        desk.exchange.trade(trade("2"))
        desk.exchange.say(FOREIGN)
        await desk.replica.clock.advance(10_000)
        body = await desk.reconcile()

    assert body["agrees"] is True
    perp = next(each for each in body["venues"] if each["venue"] == "perp")
    assert (perp["foreign_total"], perp["foreign"][0]["label"]) == (1, "s4")
    printed = "\n".join(lines(decoded(body)))
    assert "foreign    s4: s4-77 BTCUSDT BUY LIMIT NEW" in printed
    assert printed.splitlines()[-1].startswith("the account agrees with the ledger (")
    assert max(map(len, printed.splitlines())) <= 80


async def test_a_venue_that_cannot_be_read_is_a_problem_and_no_difference() -> None:
    desk = Desk()
    async with desk.reconciling():
        desk.exchange.unavailable.add("open_orders.perp")
        body = await desk.reconcile()

    assert body["agrees"] is False
    perp = next(each for each in body["venues"] if each["venue"] == "perp")
    assert perp["differences"] == []
    assert "open orders" in perp["problems"][0]
    printed = list(lines(decoded(body)))
    assert printed[-1].startswith("the account was NOT compared completely")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "orders/open"), ("GET", "positions"), ("GET", "balances"), ("POST", "reconcile")],
)
async def test_without_a_key_every_route_says_which_setting_is_missing(
    method: str, path: str
) -> None:
    reply = await Desk(enabled=False).call(path, method, TOKENS[method])

    assert (reply.status_code, reply.json()["code"]) == (503, "execution.disabled")
    assert "S1_BINANCE_KEY" in reply.json()["detail"]


@pytest.mark.parametrize("path", ["orders/open", "positions", "balances"])
async def test_before_the_first_round_nothing_is_claimed(path: str) -> None:
    reply = await Desk().call(path)

    assert (reply.status_code, reply.json()["code"]) == (503, "execution.account_unread")
    assert "perp" in reply.json()["detail"]


async def test_a_reconciliation_that_takes_too_long_goes_on() -> None:
    """Its worker does not run here."""
    reply = await Desk(limit_s=0.01).call("reconcile", "POST", TRADER_TOKEN)

    assert (reply.status_code, reply.json()["code"]) == (503, "execution.reconciliation_pending")
    assert "Retry-After" in reply.headers


async def test_a_reader_may_look_and_not_reconcile() -> None:
    desk = Desk()
    assert (await desk.call("reconcile", "POST")).status_code == 403
    assert (await desk.call("balances", token=TRADER_TOKEN)).status_code == 403


async def test_a_wrong_parameter_is_named() -> None:
    desk = Desk()
    for query in ("venue=margin", "limit=0", "symbol=BTCUSDT"):
        reply = await desk.call(f"orders/open?{query}")
        assert reply.status_code == 400
        assert query.partition("=")[0] in reply.json()["detail"]


def decoded(body: object) -> Reconciled:
    """As the command reads it."""
    return msgspec.convert(body, Reconciled)
