"""The trading mode capability, from the settings that choose its store."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import anyio

from chimera_s1.app.capabilities.ledger.operations_sink import OperationsSink
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capabilities.trading_mode.halt_ledger import HALT_LEDGER, HaltLedger
from chimera_s1.app.capabilities.trading_mode.metrics import mode_source
from chimera_s1.app.capabilities.trading_mode.read_mode import ReadMode
from chimera_s1.app.capabilities.trading_mode.web.routes import mode_part
from chimera_s1.app.capability import Capability
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.health import HealthSource

_RELAY_CURSOR = "ops:events/mode"
_RELAY_BACKOFF = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0)
_FIRST_READ_S = 2.0
"""The start waits this long for the store, and for the end of a call that has begun: up to 8 s if
ArangoDB is away. Until it was read, nothing is spent.
"""


@asynccontextmanager
async def open_trading_mode(base: Foundation, operations: Operations) -> AsyncIterator[Capability]:
    """The halt of trading, which all instances that share a store have in common."""
    ledger = HaltLedger(
        base.stores.ledger(HALT_LEDGER),
        operations.trading_mode.apply,
        clock=base.clock,
        new_id=lambda: uuid4().hex,
        draw=random.random,
        read_relayed_seq=partial(base.stores.cursors.read, _RELAY_CURSOR),
    )
    read = ReadMode(operations.trading_mode, operations.kill_switch, operations.gate, ledger)
    relay = LedgerRelay(
        ledger.engine.store,
        base.stores.cursors,
        OperationsSink(operations.log),
        ledger.engine,
        cursor_name=_RELAY_CURSOR,
        clock=base.clock,
        retries=_RELAY_BACKOFF,
    )
    with anyio.move_on_after(_FIRST_READ_S):
        await ledger.refresh()
    yield Capability(
        name="trading_mode",
        workers=(
            Worker("trading mode", ledger.run),
            Worker("trading mode relay", relay.run),
        ),
        health=(HealthSource("trading_mode", read.report, required=False),),
        metrics=(mode_source(operations.trading_mode.mode, operations.trading_mode.known),),
        web=mode_part(ledger, read),
    )
