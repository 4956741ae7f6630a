"""`chimera-s1 serve` with a door for orders, because no HTTP route places them yet:

    python -m tests.placing_service serve
    python -m tests.placing_service '{"system_ms": .., "clock_ms": .., "rate": 6}' serve

With a pace, its clock is an accelerated one, and the listen key is extended every 5 minutes of it.
The door is a Unix socket in the state directory. It takes one JSON command per connection, gives it
to the service's own `PlaceOrders` and `CancelOrders`, and answers with one JSON line. Nothing else
of the service is changed.
"""

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import msgspec
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from dependency_injector import providers
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.binance.user_stream.perp_stream import PerpAccountStream
from chimera_s1.app.capabilities.execution import wiring
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.orders_wiring import (
    Exchange,
    Listeners,
    Orders,
    Rules,
    build_orders,
)
from chimera_s1.app.cli.application import run_command
from chimera_s1.app.container import Container
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.events import CancelCause
from chimera_s1.domain.execution.order_request import OrderRequest
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import CancelReply
from tests.accelerated_clock import AcceleratedClock, Pace

DOOR = "orders.sock"
DOOR_OPEN = "the door for orders is open"
ACTOR = "placing service"
KEEP_ALIVE_MS = 5 * 60_000
_COMMAND_BYTES_MAX = 65_536

_log = logging.getLogger(__name__)


class PlaceCommand(Struct, frozen=True, kw_only=True, tag="place"):
    request: OrderRequest
    entry_id: str
    purpose: Purpose = Purpose.ENTRY


class CancelCommand(Struct, frozen=True, kw_only=True, tag="cancel"):
    client_id: str


Command: TypeAlias = PlaceCommand | CancelCommand


class CommandResult(Struct, frozen=True, kw_only=True):
    """Attributes:
    reply: Class name of the exchange's reply; empty if nothing was sent.
    error: Of the service, where it refused the command.
    """

    reply: str = ""
    text: str = ""
    error: str = ""


class Door:
    def __init__(self, orders: Orders, path: Path) -> None:
        self._orders = orders
        self._path = path

    async def run(self) -> None:
        async with await anyio.create_unix_listener(self._path) as listener:
            _log.info(DOOR_OPEN)
            await listener.serve(self._answer)

    async def _answer(self, connection: SocketStream) -> None:
        try:
            async with connection:
                line = await BufferedByteReceiveStream(connection).receive_until(
                    b"\n", _COMMAND_BYTES_MAX
                )
                result = await self._execute(msgspec.json.decode(line, type=Command))
                await connection.send(msgspec.json.encode(result) + b"\n")
        except (anyio.BrokenResourceError, anyio.IncompleteRead):
            return  # the client has gone

    async def _execute(self, command: Command) -> CommandResult:
        try:
            reply = await self._reply(command)
        except ChimeraError as error:
            return CommandResult(error=f"{error.code}: {error}")
        if reply is None:
            return CommandResult()
        text = getattr(reply, "message", "") or getattr(reply, "cause", "")
        return CommandResult(reply=type(reply).__name__, text=text)

    async def _reply(self, command: Command) -> CancelReply | None:
        if isinstance(command, CancelCommand):
            cause = CancelCause.REQUESTED
            return (await self._orders.cancel.cancel(command.client_id, cause, ACTOR)).reply
        request, purpose = command.request, command.purpose
        placed = await self._orders.place.place(request, command.entry_id, purpose, ACTOR)
        return placed.reply


def _build_with_door(
    ledger: ExecutionLedger, exchange: Exchange, rules: Rules, listeners: Listeners, clock: Clock
) -> Orders:
    orders = build_orders(ledger, exchange, rules, listeners, clock)
    door = Door(orders, Path(os.environ["S1_STATE_DIR"]) / DOOR)
    return replace(orders, workers=(*orders.workers, Worker("door for orders", door.run)))


async def send(state_dir: Path, command: Command) -> CommandResult | None:
    """The result of *command*; None if the service ended before it answered."""
    try:
        async with await anyio.connect_unix(state_dir / DOOR) as connection:
            await connection.send(msgspec.json.encode(command) + b"\n")
            line = await BufferedByteReceiveStream(connection).receive_until(
                b"\n", _COMMAND_BYTES_MAX
            )
    except (OSError, anyio.BrokenResourceError, anyio.IncompleteRead):
        return None
    return msgspec.json.decode(line, type=CommandResult)


def run(arguments: Sequence[str]) -> int:
    *pace, command = arguments
    vars(wiring)["build_orders"] = _build_with_door
    if pace:
        clock = AcceleratedClock(msgspec.json.decode(pace[0], type=Pace))
        Container.clock.override(providers.Object(clock))
        often = partial(PerpAccountStream, keep_alive_ms=KEEP_ALIVE_MS)
        vars(wiring)["PerpAccountStream"] = often
    return run_command([command])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
