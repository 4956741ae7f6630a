"""The relay of the treasury's events to `ops:events`."""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from chimera_s1.app.capabilities.ledger.operations_sink import OperationsSink
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.operations_log import OperationsLog

RELAY_CURSOR = "ops:events"
"""The name in the cursor store; the stream's, because this ledger was relayed first."""

RELAY_BACKOFF = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0)


def build_transfer_relay(
    store: EventStore,
    cursors: CursorStore,
    operations: OperationsLog,
    ledger: TreasuryLedger,
    *,
    clock: Clock,
    retries: Backoff = RELAY_BACKOFF,
) -> LedgerRelay:
    return LedgerRelay(
        store,
        cursors,
        OperationsSink(operations, _amount_as_float),
        ledger.engine,
        cursor_name=RELAY_CURSOR,
        clock=clock,
        retries=retries,
    )


def _amount_as_float(data: Document) -> Mapping[str, float]:
    """`amount_usdt`, the float64 that other services read beside the exact text."""
    amount = data.get("amount")
    if isinstance(amount, str):
        # An event of a newer version may hold another kind of amount.
        with suppress(InvalidOperation):
            return {"amount_usdt": float(Decimal(amount))}
    return {}
