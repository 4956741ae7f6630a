"""The health report of the treasury."""

from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count
from chimera_s1.domain.treasury.account_claim import AccountVerdict

UNRESOLVED_GREEN_MS = 60_000
RELAY_GRACE_MS = 10_000
"""Events wait safely in the ledger while the connections to Redis are made again."""


class TreasuryReport(Struct, frozen=True):
    """The treasury and its ledger; an error is empty while there is none.

    Attributes:
        ledger_damage: What is wrong with the ledger.
        store_error: Why its store cannot be used now.
        relay_error: Why events do not reach `ops:events`.
        account: Whether this ledger may move the account's money.
        account_error: Why that may be an old verdict.
        key_problem: What is wrong with the exchange key.
        clock_problem: Why requests cannot be signed now.
        maintenance: The exchange's words; empty outside of a maintenance.
        status_problem: Why it is not known whether the exchange is in maintenance.
        waiting: Transfers accepted and not sent.
        unresolved: Transfers that may have moved money.
        oldest_unresolved_ms: Age of the oldest of them.
        in_review: Transfers that wait for an operator.
    """

    ledger_damage: str
    store_error: str
    relay_error: str
    account: AccountVerdict
    account_error: str
    key_problem: str
    clock_problem: str
    maintenance: str
    status_problem: str
    waiting: int
    unresolved: int
    oldest_unresolved_ms: int
    in_review: int

    @property
    def level(self) -> Level:
        """RED: damage, store, account claimed by another; ORANGE: unknown for 60 s, review, relay,
        key, maintenance; YELLOW: clock, claim or status not read.
        """
        if self._stopped:
            return Level.RED
        if self._needs_operator or self.relay_error:
            return Level.ORANGE
        unsure = self.clock_problem or self.account_error or self.status_problem
        return Level.YELLOW if unsure else self.account.level

    @property
    def grace_ms(self) -> float:
        """None where money is concerned; only events that wait for Redis have one."""
        return 0 if self._stopped or self._needs_operator else RELAY_GRACE_MS

    @property
    def _stopped(self) -> bool:
        return bool(self.ledger_damage or self.store_error or self.account.level is Level.RED)

    @property
    def _needs_operator(self) -> bool:
        unknown_for_long = self.oldest_unresolved_ms > UNRESOLVED_GREEN_MS
        return bool(unknown_for_long or self.in_review or self.key_problem or self.maintenance)

    @property
    def sentence(self) -> str:
        if self.ledger_damage:
            return (
                f"the ledger is damaged: {self.ledger_damage}; nothing is written to it: see the "
                "runbook, and chimera-s1 ledger verify"
            )
        if self.store_error:
            return (
                f"the ledger's store cannot be used: {self.store_error}; transfers wait: check "
                "what S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH names"
            )
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if problem := self.account.reason_to_hold:
            yield problem
        elif self.account_error:
            yield f"the account claim cannot be checked ({self.account_error}): the last one holds"
        yield f"{self.waiting} waiting, {self.unresolved} unresolved"
        if self.in_review:
            transfers = count(self.in_review, "transfer")
            yield f"{transfers} in review: check the exchange's history, then resolve"
        if self.oldest_unresolved_ms > UNRESOLVED_GREEN_MS:
            seconds = self.oldest_unresolved_ms // 1000
            yield f"an outcome has been unknown for {seconds} s: reconciliation continues"
        yield from self._exchange_parts()
        if self.relay_error:
            yield f"events do not reach ops:events ({self.relay_error}): check Redis"

    def _exchange_parts(self) -> Iterator[str]:
        if self.key_problem:
            yield f"the exchange key: {self.key_problem}"
        if self.clock_problem:
            yield f"transfers wait: {self.clock_problem}"
        if self.maintenance:
            yield (
                f"the exchange is in maintenance ({self.maintenance}): nothing is sent, transfers "
                "wait; its status is read every minute"
            )
        if self.status_problem:
            yield (
                f"the exchange's status cannot be read ({self.status_problem}): whether it is in "
                "maintenance is not known, transfers are sent"
            )
