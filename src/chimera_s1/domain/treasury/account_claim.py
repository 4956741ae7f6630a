"""May this ledger send transfers of the account? Two ledgers of one account move money twice.

A ledger knows only its own transfers: an idempotency key that is finished in one ledger is new to
another one. So one installation at a time holds the claim on an account.
"""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from msgspec import Struct

from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.operations.health import Level, count
from chimera_s1.domain.treasury.reconciliation import Movement, MovementStatus

UNEXPLAINED_SPAN_MS = 7 * 86_400_000
"""Before a claim, movements are compared this far back; the sub-account history has no more."""

_TAKE = "chimera-s1 ledger take-account"
_HOW_TO = "docs/how-to/keep-the-ledger.md"


class AccountClaim(Struct, frozen=True, kw_only=True):
    """The installation that moves the money of an account.

    Attributes:
        taken_at: Local epoch ms.
        by_operator: Taken by `chimera-s1 ledger take-account`, not at a start.
    """

    installation: str
    taken_at: int = 0
    by_operator: bool = False


class AccountEvidence(Struct, frozen=True, kw_only=True):
    """What a verdict is made of.

    Attributes:
        account: Of the exchange key, `live:354937868`.
        installation: Of this ledger.
        ledger_account: The account this ledger belongs to; empty before its first transfer.
        may_start: The ledger has commits, or was found or declared to be the account's first.
        claim: As stored; None if there is none.
        reached: The head that this installation has recorded beside the claim; None if there is
            none.
        hash_there: The hash of this ledger's commit at `reached.seq`; empty if it is shorter.
        movements: Of the account in the last seven days, without those that the ledger knows or an
            operator has confirmed; None while not read.
        history_problem: Why there may be more movements; empty if the read was complete.
        absent: How many movements of this ledger, of those days, the account's history would have
            to show; 0 if it shows one of them.
    """

    account: str
    installation: str
    ledger_account: str
    may_start: bool
    claim: AccountClaim | None
    reached: LedgerHead | None = None
    hash_there: str = ""
    movements: Sequence[Movement] | None = None
    history_problem: str = ""
    absent: int = 0


class Unchecked(Struct, frozen=True):
    """The evidence is incomplete; *cause* is empty during the first check."""

    cause: str = ""

    @property
    def level(self) -> Level:
        return Level.RED if self.cause else Level.YELLOW

    @property
    def reason_to_hold(self) -> str:
        if not self.cause:
            return "the claim on the exchange account is being read; retry in a second"
        return (
            f"the claim on the exchange account is not checked ({self.cause}): nothing is sent "
            "until it is; retrying"
        )


class Own(Struct, frozen=True):
    """The installation holds the claim: nothing holds transfers."""

    level: ClassVar = Level.GREEN
    reason_to_hold: ClassVar = ""


class HeldByOther(Struct, frozen=True):
    """Another installation holds the claim."""

    account: str
    installation: str
    holder: str

    level: ClassVar = Level.RED

    @property
    def reason_to_hold(self) -> str:
        return (
            f"account {self.account} is claimed by installation {self.holder}, and this ledger is "
            f"installation {self.installation}: nothing is sent here; remove the exchange key "
            f"here, or stop the other installation and run {_TAKE}"
        )


class OfOtherAccount(Struct, frozen=True):
    """The ledger holds the transfers of another account than the exchange key's."""

    account: str
    ledger_account: str

    level: ClassVar = Level.RED

    @property
    def reason_to_hold(self) -> str:
        return (
            f"this ledger belongs to account {self.ledger_account}, and the exchange key to "
            f"account {self.account}: nothing is sent or reconciled; correct S1_BINANCE_KEY, or "
            "set S1_DB_SQLITE_PATH or S1_DB_ARANGO_DATABASE to a ledger of that account"
        )


class UnexplainedMovements(Struct, frozen=True):
    """Money was moved in the account that this ledger does not know: another one may know it."""

    account: str
    number: int

    level: ClassVar = Level.RED

    @property
    def reason_to_hold(self) -> str:
        moved = count(self.number, "transfer")
        return (
            f"account {self.account} had {moved} between its wallets in the last 7 days that this "
            "ledger does not know: nothing is sent. If a ledger made them, restore it (see "
            f"{_HOW_TO}). If they were made by hand, run {_TAKE}"
        )


class HistoryContradicts(Struct, frozen=True):
    """The account's history has none of the movements that this ledger has recorded."""

    account: str
    number: int

    level: ClassVar = Level.RED

    @property
    def reason_to_hold(self) -> str:
        return (
            f"account {self.account} has none of the ledger's last "
            f"{count(self.number, 'transfer')} in its history, so the ledger is that of another "
            "account: nothing is sent; correct S1_BINANCE_KEY, or set S1_DB_SQLITE_PATH or "
            "S1_DB_ARANGO_DATABASE to a ledger of that account. If the ledger is the account's, "
            f"run {_TAKE}"
        )


class HistoryIncomplete(Struct, frozen=True):
    """No unknown movement was found, but not every row of the history can be used."""

    account: str
    cause: str

    level: ClassVar = Level.RED

    @property
    def reason_to_hold(self) -> str:
        return (
            f"the history of account {self.account} could not be read completely ({self.cause}), "
            "and another ledger may have moved its money in the last 7 days: nothing is sent; "
            f"retrying each minute. If there is no other ledger of the account, run {_TAKE}"
        )


class LedgerFellBack(Struct, frozen=True):
    """The ledger lacks a commit that its installation had: an old backup, or a copy."""

    account: str
    installation: str
    reached: LedgerHead

    level: ClassVar = Level.RED

    @property
    def reason_to_hold(self) -> str:
        return (
            f"this ledger lacks commit {self.reached.seq} with hash {self.reached.hash[:12]}, "
            f"which installation {self.installation} has written for account {self.account}: it "
            "is an old backup, or a copy of a ledger in use; nothing is sent: stop the other copy "
            f"first, then restore the newest ledger (see {_HOW_TO}); if it is lost, run {_TAKE} "
            "--accept-missing-commits"
        )


class ReadMovements(Struct, frozen=True):
    """Another ledger may have moved the money: the account's movements are needed for a verdict."""


class WriteClaim(Struct, frozen=True):
    """Nothing forbids the claim, and none is stored: write it if it is still absent."""


AccountVerdict: TypeAlias = (
    Unchecked
    | Own
    | HeldByOther
    | OfOtherAccount
    | UnexplainedMovements
    | HistoryContradicts
    | HistoryIncomplete
    | LedgerFellBack
)
"""Each has a health level, and the reason to hold transfers: empty if they may be sent."""

NextStep: TypeAlias = ReadMovements | WriteClaim


def judge(evidence: AccountEvidence, last: AccountVerdict) -> AccountVerdict | NextStep:
    """The verdict, or what must be done to reach one; *last* is the verdict before."""
    account, own, claim = evidence.account, evidence.installation, evidence.claim
    if evidence.ledger_account not in {"", account}:
        return OfOtherAccount(account, evidence.ledger_account)
    if claim is not None and claim.installation != own:
        return HeldByOther(account, own, claim.installation)
    if evidence.reached is not None and evidence.hash_there != evidence.reached.hash:
        return LedgerFellBack(account, own, evidence.reached)
    if claim is None and isinstance(last, HeldByOther | LedgerFellBack):
        return last  # The claim that vanished was the other's; its holder writes it again.
    if (unproven := _judge_movements(evidence, last)) is not None:
        return unproven
    return WriteClaim() if claim is None else Own()


def _judge_movements(
    evidence: AccountEvidence, last: AccountVerdict
) -> UnexplainedMovements | HistoryContradicts | HistoryIncomplete | ReadMovements | None:
    """None where no other ledger can have moved the account's money. Only Redis knows of other
    ledgers, so after a flush a process that has not held the claim itself asks the exchange.
    """
    claim = evidence.claim
    if claim is None:
        proven = evidence.may_start and isinstance(last, Own)
    else:
        proven = evidence.may_start or claim.by_operator
    if proven:
        return None
    if evidence.movements is None:
        return ReadMovements()
    if evidence.absent and not evidence.ledger_account:
        return HistoryContradicts(evidence.account, evidence.absent)
    moved = [m for m in evidence.movements if m.status is not MovementStatus.FAILED]
    if moved:
        return UnexplainedMovements(evidence.account, len(moved))
    if evidence.history_problem:
        return HistoryIncomplete(evidence.account, evidence.history_problem)
    return None
