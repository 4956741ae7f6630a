"""A process that places two orders and is killed, for `test_orders_killed`.

python -m tests.contract.order_placer '{"path": "orders.db", "urls": {..}, "kill": "..", ..}'
"""

import os
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.domain.execution.order_request import (
    Limit,
    OneWay,
    OrderRef,
    OrderRequest,
    PerpOrder,
    Side,
    SpotOrder,
    TimeInForce,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.order_gateway import (
    CancelReply,
    OrderFound,
    OrderGateway,
    OrderNotFound,
    OrderReply,
    SignedRequest,
)
from tests.order_instance import order_instance

BTC = Symbol("BTCUSDT")
LEDGER = "execution"
QTY = Decimal("0.01")


class Moment(StrEnum):
    """When the process is killed: both intents are stored."""

    BEFORE_SENDING = "before-sending"
    """Connected, and the first byte is not written."""
    ON_THE_WAY = "on-the-way"
    """Sent, and not arrived. The test does it."""
    EXECUTED = "executed"
    """Executed, and the reply has not arrived. The test does it."""
    REPLY_READ = "reply-read"
    """The reply is read, and not recorded."""


class Plan(Struct, frozen=True):
    """Attributes:
    urls: Of the simulator.
    open_price, filled_price: Of the futures order that rests and the spot order that is filled.
    """

    path: str
    urls: dict[str, str]
    moment: Moment
    open_price: str
    filled_price: str


def open_order(moment: Moment, price: str) -> PerpOrder:
    body = Limit(qty=QTY, price=Decimal(price), time_in_force=TimeInForce.GTC)
    scope = OneWay(reduce_only=False)
    client_id = f"s1-{moment}-open"
    return PerpOrder(client_id=client_id, symbol=BTC, side=Side.BUY, scope=scope, body=body)


def filled_order(moment: Moment, price: str) -> SpotOrder:
    body = Limit(qty=QTY, price=Decimal(price), time_in_force=TimeInForce.GTC)
    return SpotOrder(client_id=f"s1-{moment}-filled", symbol=BTC, side=Side.BUY, body=body)


class KillingGateway(OrderGateway):
    """Ends this process at a moment, once both orders have reached it."""

    def __init__(self, moment: Moment, gateway: OrderGateway) -> None:
        self._moment = moment
        self._gateway = gateway
        self._planned = self._replied = 0
        self._both_planned = anyio.Event()

    async def sign_order(self, request: OrderRequest) -> SignedRequest:
        return await self._gateway.sign_order(request)

    async def sign_cancel(self, ref: OrderRef) -> SignedRequest:
        return await self._gateway.sign_cancel(ref)

    async def send_order(self, signed: SignedRequest, obstacle: Callable[[], str]) -> OrderReply:
        self._planned += 1
        if self._planned == 2:
            self._both_planned.set()
        await self._both_planned.wait()
        if self._moment is Moment.BEFORE_SENDING:
            return await self._gateway.send_order(signed, partial(_kill, obstacle))
        await self._gateway.send_order(signed, obstacle)
        self._replied += 1
        if self._replied == 2:
            _kill(obstacle)
        await anyio.sleep_forever()
        raise AssertionError("this process is killed")

    async def send_cancel(self, signed: SignedRequest, obstacle: Callable[[], str]) -> CancelReply:
        return await self._gateway.send_cancel(signed, obstacle)

    async def find(self, ref: OrderRef) -> OrderFound | OrderNotFound:
        return await self._gateway.find(ref)


def _kill(obstacle: Callable[[], str]) -> str:
    assert not obstacle(), "it would not have been sent"
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("this process is killed")


async def run(plan: Plan) -> None:
    async with SqliteDatabase(Path(plan.path)) as database:
        store = SqliteEventStore(database, LEDGER)
        killing = partial(KillingGateway, plan.moment)
        async with (
            order_instance(plan.urls, store, gateway_of=killing, follow=False) as instance,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(instance.place, open_order(plan.moment, plan.open_price))
            tasks.start_soon(instance.place, filled_order(plan.moment, plan.filled_price))


if __name__ == "__main__":
    anyio.run(
        run,
        msgspec.json.decode(sys.argv[1], type=Plan),
        backend_options={"use_uvloop": True},
    )
