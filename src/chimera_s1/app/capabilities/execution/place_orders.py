"""Place an order: sign, store the intent, send once, record the reply.

No order is signed or sent twice. What the reply leaves open is looked up by `ResolveUnknown`.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Container
from math import inf
from typing import Protocol, assert_never

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger, Opening
from chimera_s1.app.capabilities.execution.orders_in_flight import OrdersInFlight
from chimera_s1.app.capabilities.execution.record_replies import RecordReplies
from chimera_s1.app.capabilities.execution.request_age import RequestAge, age_of
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.domain.errors import (
    ChimeraError,
    ServiceStoppingError,
    StoreUnavailableError,
)
from chimera_s1.domain.execution.events import (
    OrderConclusion,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderUnknown,
    RefusalReason,
)
from chimera_s1.domain.execution.order_request import OrderRequest, family_of
from chimera_s1.domain.execution.position_effect import Purpose, opens_position
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.trading_gate import Spending
from chimera_s1.domain.ports.account_hold import AccountHold
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import (
    OrderGateway,
    OrderReply,
    OutcomeUnknown,
    RequestAccepted,
    RequestNotSent,
    RequestRefused,
    RequestTurnedAway,
    SignedRequest,
)

PLAN_LIMIT_S = 5.0
"""For the append of the intent. A request is too late to be sent long before."""


class Placement(Struct, frozen=True, kw_only=True):
    """Attributes:
    order: As known once the reply was recorded. Its phase says what is certain.
    reply: Of the exchange; an acknowledgement at most.
    """

    order: TrackedOrder
    reply: OrderReply


class AccountNotClaimedError(ChimeraError):
    """Another installation may trade on the account, or that is not known yet."""

    code = "execution.account_claim"


class VenueNotServedError(ChimeraError):
    """An order of a venue that this instance neither follows nor measures the clock of."""

    code = "execution.venue_not_served"


class RulesCheck(Protocol):
    def __call__(self, request: OrderRequest, *, opens: bool) -> None:
        """Raise the rule that *request* breaks. Where it opens no position, only rules that need no
        price of ours: that price may be old, and the exchange's decides.
        """
        ...


class PlaceOrders:
    """Args:
    hold: Of the exchange account.
    check_rules: What it does not know, it must let through.
    venues: Those that are served.
    exchange_ms: The exchange's clock, epoch ms; raises ClockUncertainError.
    is_stopping: SIGTERM was received.
    on_clock_suspect: Called when the exchange rejects our timestamp.

    Attributes:
        replies: Of requests that were stored, by the name of their class.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        gateway: OrderGateway,
        gate: TradingGate,
        hold: AccountHold,
        *,
        clock: Clock,
        exchange_ms: Callable[[Venue], float],
        check_rules: RulesCheck,
        is_stopping: Callable[[], bool],
        on_clock_suspect: Callable[[Venue], None],
        in_flight: OrdersInFlight,
        recorder: RecordReplies,
        venues: Container[Venue],
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._gate = gate
        self._hold = hold
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._check_rules = check_rules
        self._is_stopping = is_stopping
        self._on_clock_suspect = on_clock_suspect
        self._in_flight = in_flight
        self._recorder = recorder
        self._venues = venues
        self.replies: Counter[str] = Counter()

    async def place(
        self,
        request: OrderRequest,
        entry_id: str,
        purpose: Purpose,
        actor: str,
        *,
        opening: Opening | None = None,
    ) -> Placement:
        """Place *request*, once. From the intent on, cancellation waits for the reply's record.

        *opening* is stored with the intent, if it is the order of a new entry.

        Raises:
            VenueNotServedError: This instance does not serve its venue.
            InvalidValueError: The request breaks a rule; other errors of `check_rules` likewise.
            KillSwitchOnError, ModeHaltedError, ModeManageOnlyError, ModeUnknownError,
                ServiceStoppingError, AccountNotClaimedError: It would open a position, and nothing
                may be opened now.
            ExchangeUnavailableError, ExchangeRefusedError: It cannot be signed.
            OtherAccountError: The ledger belongs to another account than the key.
            ClientIdUsedError: The client id was used before.
            AppendUncertainError, StoreUnavailableError, LedgerDamagedError, LedgerTooNewError:
                The intent cannot be stored.

        Nothing was sent where it raises.
        """
        venue = family_of(request).venue
        if venue not in self._venues:
            raise VenueNotServedError(
                f"order {request.client_id}: this instance does not serve {venue.value}, so it "
                "could not follow the order; call one that does, or add it to S1_VENUES"
            )
        opens = opens_position(request, purpose)
        self._check_rules(request, opens=opens)
        if opens and (closed := self.closed()):
            raise closed
        signed = await self._gateway.sign_order(request)
        age = age_of(signed, self._clock, lambda: self._exchange_ms(venue))
        event = _planned_event(request, entry_id, signed)

        async def send(planned: TrackedOrder) -> Placement:
            reply = await self._gateway.send_order(signed, lambda: self._obstacle(age, opens=opens))
            return Placement(order=await self._record(planned, reply, actor), reply=reply)

        with self._in_flight.sending(request.client_id):
            return await self._plan_and_send(event, actor, opening, send)

    def closed(self) -> ChimeraError | None:
        """Why nothing may be opened now. Only asked of orders that open a position."""
        if self._is_stopping():
            return ServiceStoppingError(
                "the service is stopping; retry in a few seconds, or call another instance"
            )
        if obstacle := self._gate.obstacle(Spending.ENTRY):
            return obstacle
        reason = self._hold.reason()
        return AccountNotClaimedError(reason) if reason else None

    def _obstacle(self, age: RequestAge, *, opens: bool) -> str:
        """Asked right before the first byte: to connect may take seconds."""
        if late := age.obstacle():
            return late
        return str(self.closed() or "") if opens else ""

    async def _plan_and_send(
        self,
        event: OrderPlanned,
        actor: str,
        opening: Opening | None,
        send: Callable[[TrackedOrder], Awaitable[Placement]],
    ) -> Placement:
        """Neither is cancelled. One scope serves both: to enter another takes longer than to write
        the request.
        """
        planned: TrackedOrder | None = None
        with anyio.CancelScope(shield=True) as scope:
            scope.deadline = anyio.current_time() + PLAN_LIMIT_S
            planned = await self._ledger.plan(event, actor, opening)
            scope.deadline = inf
            if not scope.cancel_called:
                return await send(planned)
        if planned is None:
            raise StoreUnavailableError(
                f"order {event.client_id}: the intent was not stored within {PLAN_LIMIT_S:g} s; "
                "nothing was sent: use another client id"
            )
        # Stored all the same, at the last moment.
        with anyio.CancelScope(shield=True):
            return await send(planned)
        raise AssertionError("this scope is never cancelled")

    async def _record(self, order: TrackedOrder, reply: OrderReply, actor: str) -> TrackedOrder:
        client_id = order.client_id
        self.replies[type(reply).__name__] += 1
        if isinstance(reply, RequestTurnedAway) and reply.clock_suspect:
            self._on_clock_suspect(order.venue)

        async def write() -> None:
            await self._write(client_id, reply, actor)

        await self._recorder.persist(client_id, reply, write)
        return self._ledger.state.orders.get(client_id, order)

    async def _write(self, client_id: str, reply: OrderReply, actor: str) -> None:
        if isinstance(reply, RequestAccepted):
            await self._ledger.record(actor, *reply.reports, *reply.fills)
            order = self._ledger.state.orders.get(client_id)
            if order is None or order.phase is not OrderPhase.PLANNED:
                return
        await self._ledger.conclude(conclusion_of(client_id, reply), actor)


def _not_stored(request: OrderRequest, cause: str) -> str:
    return (
        f"order {request.client_id}: nothing was sent, because the ledger's store does not take "
        f"the intent ({cause}): check what S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH names, and use "
        "another client id; until then protect positions at the exchange. Cancels are sent all "
        "the same"
    )


def _planned_event(request: OrderRequest, entry_id: str, signed: SignedRequest) -> OrderPlanned:
    return OrderPlanned(
        client_id=request.client_id,
        request=request,
        entry_id=entry_id,
        signed_at_ms=signed.signed_at_ms,
        recv_window_ms=signed.recv_window_ms,
        request_hash=signed.request_hash,
    )


def conclusion_of(client_id: str, reply: OrderReply) -> OrderConclusion:
    """What *reply* proves about the order, apart from the reports in it."""
    match reply:
        case RequestAccepted():
            return OrderUnknown(client_id=client_id, cause="the reply does not name the order")
        case RequestRefused(reason=RefusalReason.DUPLICATE_ID, message=message):
            # The exchange has an order of this id; only a lookup shows whether it is this one.
            return OrderUnknown(client_id=client_id, cause=message)
        case RequestRefused(reason=reason, code=code, message=message):
            return OrderRefused(client_id=client_id, reason=reason, code=code, message=message)
        case RequestTurnedAway(cause=cause):
            return OrderRefused(
                client_id=client_id,
                reason=RefusalReason.TURNED_AWAY,
                code=None,
                message=cause,
            )
        case RequestNotSent(cause=cause):
            return OrderNotSent(client_id=client_id, cause=cause)
        case OutcomeUnknown(cause=cause):
            return OrderUnknown(client_id=client_id, cause=cause)
        case _:
            assert_never(reply)
