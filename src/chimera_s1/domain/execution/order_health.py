"""The health reports of orders and of the private streams."""

from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count

UNKNOWN_GREEN_MS = 15_000
"""An outcome is certain after some 7 s, if the exchange answers."""

RELAY_GRACE_MS = 10_000
"""Events wait safely in the ledger while the connections to Redis are made again."""

STREAM_GRACE_MS = 10_000
"""A connection is made again in seconds, and orders are queried every second meanwhile."""


class OrdersReport(Struct, frozen=True, kw_only=True):
    """The execution ledger and the orders in it; an error is empty while there is none.

    Attributes:
        ledger_damage: What is wrong with the ledger.
        store_error: Why its store cannot be used now.
        unrecorded: Why the reply to a request is not recorded yet.
        working: Orders that the exchange has.
        unknown: Orders that may have been placed.
        oldest_unknown_ms: Age of the oldest of them.
        oldest_unknown: Its client id.
        unprovable: So many of them are too old to be looked up.
        lookup_error: Why the last lookup of an unknown order failed.
        query_error: Why the last query of a working order failed.
        late_queries: Queries of working orders that wait for their turn.
        relay_error: Why events do not reach `orders:executed`.
        account_problem: Why the ledger and the exchange key do not belong together.
    """

    ledger_damage: str
    store_error: str
    unrecorded: str
    working: int
    unknown: int
    oldest_unknown_ms: int
    oldest_unknown: str
    unprovable: int
    lookup_error: str
    query_error: str
    late_queries: int
    relay_error: str = ""
    account_problem: str = ""

    @property
    def level(self) -> Level:
        """RED: damage, store, account; ORANGE: an outcome unknown for 15 s, a reply not recorded,
        the relay; YELLOW: reads of the exchange fail or are late.
        """
        if self._unusable:
            return Level.RED
        if self._needs_operator or self.relay_error:
            return Level.ORANGE
        behind = self.query_error or self.lookup_error or self.late_queries
        return Level.YELLOW if behind else Level.GREEN

    @property
    def grace_ms(self) -> float:
        """0 where money is concerned; only events that wait for Redis have one."""
        return 0.0 if self._unusable or self._needs_operator else RELAY_GRACE_MS

    @property
    def _unusable(self) -> str:
        return self.ledger_damage or self.store_error or self.account_problem

    @property
    def _needs_operator(self) -> bool:
        return bool(self.unrecorded or self._unknown_for_long)

    @property
    def _unknown_for_long(self) -> bool:
        return self.oldest_unknown_ms > UNKNOWN_GREEN_MS

    @property
    def sentence(self) -> str:
        if self.ledger_damage:
            return (
                f"the execution ledger is damaged: {self.ledger_damage}; no order can be placed, "
                "cancels are sent: manage positions at the exchange, and see the runbook"
            )
        if self.store_error:
            return (
                f"the execution ledger's store cannot be used: {self.store_error}; no order can "
                "be placed, cancels are sent: check what S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH "
                "names"
            )
        return self.account_problem or "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield f"{count(self.working, 'working order')}, {self.unknown} with an unknown outcome"
        if self._unknown_for_long:
            yield (
                f"the outcome of {self.oldest_unknown} has been unknown for "
                f"{self.oldest_unknown_ms // 1000} s: it is looked up; check the open orders and "
                "the position at the exchange"
            )
        if self.unprovable:
            yield (
                f"{count(self.unprovable, 'order')} too old for the exchange's queries: check its "
                "trade history by hand"
            )
        if self.unrecorded:
            yield f"a reply is not recorded yet ({self.unrecorded}): retrying"
        if self.lookup_error:
            yield f"an unknown order cannot be looked up ({self.lookup_error}): retrying"
        if self.query_error:
            yield f"a working order cannot be queried ({self.query_error}): retrying"
        if self.late_queries:
            yield f"late queries of working orders: {self.late_queries}"
        if self.relay_error:
            yield f"events do not reach orders:executed ({self.relay_error}): check Redis"


class PrivateStreamReport(Struct, frozen=True, kw_only=True):
    """Attributes:
    connected: Subscribed.
    proven: It has delivered an event since it was connected.
    problem: Why it is not connected, or not trusted; empty while it is.
    silent_ms: Since the last event; None if there was none.
    reconnects, renewals: So many since the start; renewals of a deaf stream.
    record_error: Why what the streams say is not recorded.
    waiting, dropped: Reports of all streams that wait, and that found no room since the start.
    overflowing: Reports are being dropped.
    """

    connected: bool
    proven: bool
    problem: str
    silent_ms: int | None
    reconnects: int
    renewals: int
    record_error: str
    waiting: int
    dropped: int
    overflowing: bool

    @property
    def level(self) -> Level:
        if not self.connected or self.record_error or self.overflowing:
            return Level.ORANGE
        return Level.YELLOW if self.problem else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0.0 if self.overflowing else STREAM_GRACE_MS

    @property
    def sentence(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if not self.connected:
            yield (
                f"not connected ({self.problem or 'connecting'}): working orders are queried "
                "every second"
            )
        elif self.proven:
            yield f"connected, last event {(self.silent_ms or 0) / 1000:.0f} s ago"
        else:
            yield "connected, no event yet: working orders are queried every second"
        if self.connected and self.problem:
            yield self.problem
        if self.reconnects or self.renewals:
            deaf = f", {self.renewals} of a deaf stream" if self.renewals else ""
            yield f"{count(self.reconnects, 'reconnect')}{deaf}"
        if self.overflowing:
            yield f"{self.waiting} reports wait, more are dropped: reconciliation repairs it"
        elif self.dropped:
            yield f"{count(self.dropped, 'report')} dropped since the start"
        if self.record_error:
            yield (
                f"its reports cannot be recorded ({self.record_error}), {self.waiting} wait: check "
                "the ledger's store"
            )
