"""Cancel an order: one request a call, then read the order until it is closed.

No reply ends an order: accepted means that the exchange will cancel what is left, and -2011 may
mean that the order is filled.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, assert_never

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.record_replies import LEDGER_ERRORS, RecordReplies
from chimera_s1.app.capabilities.execution.request_age import RequestAge, age_of
from chimera_s1.app.capabilities.execution.resolve_unknown import EXCHANGE_ERRORS
from chimera_s1.domain.errors import (
    ClockUncertainError,
    LedgerDamagedError,
    LedgerTooNewError,
    OrderNotPlannedError,
    StoreUnavailableError,
)
from chimera_s1.domain.execution.events import CancelCause, CancelRefused, CancelRequested
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS, SETTLING_MS
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import (
    CancelReply,
    OrderFound,
    OrderGateway,
    OrderNotFound,
    OutcomeUnknown,
    RequestAccepted,
    RequestNotSent,
    RequestRefused,
    RequestTurnedAway,
    SignedRequest,
)

RESOLVE_WAIT_MS = 10_000.0
"""For the outcome of placing the order, which takes 7 s at most while the exchange answers."""

STORE_LIMIT_S = 0.5
"""For the append of the intent; then the cancel is sent without."""

READ_BACKOFF = Backoff(base_ms=100, max_wait_ms=1_500, jitter_ms=0)
_UNRESOLVED: Final = frozenset({OrderPhase.PLANNED, OrderPhase.UNKNOWN})
_log = logging.getLogger(__name__)


class Cancellation(Struct, frozen=True, kw_only=True):
    """Attributes:
    order: As known now; it may still be open.
    reply: None if nothing was sent, because the order had ended.
    """

    order: TrackedOrder
    reply: CancelReply | None


class CancelOrders:
    """No mode, switch or limit blocks a cancel: this class does not know them. Nor does the store
    of the ledger: a cancel opens nothing, and twice it does no harm, so it needs no stored intent.

    Args:
        exchange_ms: The exchange's clock, epoch ms; raises ClockUncertainError.
        hurry: Has an unresolved order looked up now.
        on_clock_suspect: Called when the exchange rejects our timestamp.

    Attributes:
        replies: Of requests, by the name of their class.
        unstored: Requests that were sent although the store did not take their intent.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        gateway: OrderGateway,
        *,
        clock: Clock,
        exchange_ms: Callable[[Venue], float],
        hurry: Callable[[str], None],
        on_clock_suspect: Callable[[Venue], None],
        recorder: RecordReplies,
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._hurry = hurry
        self._on_clock_suspect = on_clock_suspect
        self._recorder = recorder
        self.replies: Counter[str] = Counter()
        self.unstored = 0

    async def cancel(self, client_id: str, cause: CancelCause, actor: str) -> Cancellation:
        """Cancel an order of ours, of a list all legs, and read it until it is closed: for
        the receive window and the query lag, some 7 s. Call again if it is open then.

        An order whose placement is not resolved is resolved first, for `RESOLVE_WAIT_MS`. One that
        was not found may yet appear: it is cancelled by its client id.

        While the store takes nothing, the request is sent and its reply returned; the order is as
        known before, and what becomes of it is recorded when the store answers.

        Raises:
            OrderNotPlannedError: The ledger does not have the order.
            ExchangeUnavailableError, ExchangeRefusedError: The request cannot be signed.
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: The order has left memory,
                and cannot be read.

        Nothing was sent where it raises.
        """
        order = await self._ledger.find(client_id)
        if order is None:
            raise OrderNotPlannedError(f"order {client_id} is not in the execution ledger")
        order = await self._resolved(order)
        if not order.is_open and order.phase is not OrderPhase.ABSENT:
            return Cancellation(order=order, reply=None)
        # What a triggered algo order became is what can still be cancelled.
        ref = order.lookup_refs()[-1]
        signed = await self._gateway.sign_cancel(ref)
        age = age_of(signed, self._clock, lambda: self._exchange_ms(order.venue))
        with anyio.CancelScope(shield=True):
            is_stored = await self._store_intent(order, signed, cause, actor)
            reply = await self._send(order.venue, signed, age)
            if is_stored:
                await self._record_reply(order, reply, actor)
        if not is_stored:
            return Cancellation(order=self._current(order), reply=reply)
        return Cancellation(order=await self._settle(order, signed, reply, actor), reply=reply)

    async def _resolved(self, order: TrackedOrder) -> TrackedOrder:
        """*order* once it is known whether it was placed; after the wait, as it is: a cancel of an
        order that does not exist does no harm.
        """
        until_ms = self._clock.monotonic_ms() + RESOLVE_WAIT_MS
        while order.phase in _UNRESOLVED:
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                break
            self._hurry(order.client_id)
            changed = await self._ledger.wait_changed(order.client_id, order, left_ms)
            order = changed or order
        return order

    async def _store_intent(
        self, order: TrackedOrder, signed: SignedRequest, cause: CancelCause, actor: str
    ) -> bool:
        requested = CancelRequested(
            client_id=order.client_id, signed_at_ms=signed.signed_at_ms, cause=cause
        )
        problem = f"no answer within {STORE_LIMIT_S:g} s"
        with anyio.move_on_after(STORE_LIMIT_S):
            try:
                await self._ledger.conclude(requested, actor)
            except (StoreUnavailableError, LedgerDamagedError, LedgerTooNewError) as error:
                problem = str(error)
            else:
                return True
        self.unstored += 1
        _log.error(
            "order %s: the cancel is sent, although the ledger's store does not take it: %s",
            order.client_id,
            problem,
        )
        return False

    async def _send(self, venue: Venue, signed: SignedRequest, age: RequestAge) -> CancelReply:
        reply = await self._gateway.send_cancel(signed, age.obstacle)
        self.replies[type(reply).__name__] += 1
        if isinstance(reply, RequestTurnedAway) and reply.clock_suspect:
            self._on_clock_suspect(venue)
        return reply

    async def _record_reply(self, order: TrackedOrder, reply: CancelReply, actor: str) -> None:
        if isinstance(reply, RequestAccepted):
            reports = reply.reports

            async def write() -> None:
                await self._ledger.record(actor, *reports)

            await self._recorder.persist(order.client_id, reply, write)

    async def _settle(
        self, order: TrackedOrder, signed: SignedRequest, reply: CancelReply, actor: str
    ) -> TrackedOrder:
        match reply:
            case RequestAccepted() | OutcomeUnknown() | OrderNotFound() | RequestRefused():
                order = await self._read_until_closed(order, signed, actor)
            case RequestTurnedAway() | RequestNotSent():
                order = self._current(order)
            case _:
                assert_never(reply)
        if not order.is_open:
            return order
        code, message = _refusal(reply)
        refused = CancelRefused(client_id=order.client_id, code=code, message=message)

        async def write() -> None:
            await self._ledger.conclude(refused, actor)

        await self._recorder.persist(order.client_id, reply, write)
        return self._current(order)

    async def _read_until_closed(
        self, order: TrackedOrder, signed: SignedRequest, actor: str
    ) -> TrackedOrder:
        """The stream may be faster than the reads: whatever says first that it is closed."""
        until_ms = self._clock.monotonic_ms() + self._window_ms(signed, order.venue)
        reads = 0
        while True:
            await self._read(order, actor)
            order = self._current(order)
            left_ms = until_ms - self._clock.monotonic_ms()
            if not order.is_open or left_ms <= 0:
                return order
            wait_ms = min(left_ms, READ_BACKOFF.wait_ms(reads, 0))
            changed = await self._ledger.wait_changed(order.client_id, order, wait_ms)
            order = changed or order
            if not order.is_open:
                return order
            reads += 1

    async def _read(self, order: TrackedOrder, actor: str) -> None:
        """A read that fails is repeated like one that shows an open order."""
        try:
            for ref in order.lookup_refs():
                result = await self._gateway.find(ref)
                if isinstance(result, OrderFound):
                    await self._ledger.record(actor, *result.reports)
        except (*EXCHANGE_ERRORS, *LEDGER_ERRORS):
            return

    def _window_ms(self, signed: SignedRequest, venue: Venue) -> float:
        """Until the request is certainly dead, and what it did is visible."""
        window_ms = signed.recv_window_ms + max(SETTLING_MS, QUERY_LAG_MS)
        try:
            return signed.signed_at_ms + window_ms - self._exchange_ms(venue)
        except ClockUncertainError:
            return float(window_ms)

    def _current(self, order: TrackedOrder) -> TrackedOrder:
        return self._ledger.state.orders.get(order.client_id, order)


def _refusal(reply: CancelReply) -> tuple[int | None, str]:
    """Why the order is still open, in the exchange's words where it said something."""
    match reply:
        case RequestRefused(code=code, message=message):
            return code, message
        case OrderNotFound(message=message):
            return None, message
        case RequestTurnedAway(cause=cause) | RequestNotSent(cause=cause):
            return None, cause
        case OutcomeUnknown(cause=cause):
            return None, f"{cause}; the order is still open"
        case RequestAccepted():
            return None, "accepted, but the order is still open"
        case _:
            assert_never(reply)
