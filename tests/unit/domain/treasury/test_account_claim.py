"""Which ledger may send transfers of an account."""

from decimal import Decimal
from itertools import product

import pytest
from msgspec.structs import replace

from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.treasury.account_claim import (
    AccountClaim,
    AccountEvidence,
    AccountVerdict,
    HeldByOther,
    HistoryContradicts,
    HistoryIncomplete,
    LedgerFellBack,
    OfOtherAccount,
    Own,
    ReadMovements,
    Unchecked,
    UnexplainedMovements,
    WriteClaim,
    judge,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import Movement, MovementStatus
from tests.account_verdicts import ACCOUNT, HELD_BY_OTHER, OTHER_ID, OWN_ID, VERDICTS

OWN_CLAIM = AccountClaim(installation=OWN_ID)
CONFIRMED = AccountClaim(installation=OWN_ID, by_operator=True)
OTHER_CLAIM = AccountClaim(installation=OTHER_ID, by_operator=True)
HEAD = LedgerHead(42, "c" * 64)
DIRECTION = next(iter(Direction))

ESTABLISHED = AccountEvidence(
    account=ACCOUNT,
    installation=OWN_ID,
    ledger_account=ACCOUNT,
    may_start=True,
    claim=OWN_CLAIM,
    reached=HEAD,
    hash_there=HEAD.hash,
)
NEW = AccountEvidence(
    account=ACCOUNT, installation=OWN_ID, ledger_account="", may_start=False, claim=None
)


def movement(status: MovementStatus = MovementStatus.CONFIRMED) -> Movement:
    return Movement("1", DIRECTION, Decimal(25), status, 1_000)


@pytest.mark.parametrize("last", VERDICTS)
def test_the_claim_decides_whatever_the_verdict_was(last: AccountVerdict) -> None:
    assert judge(ESTABLISHED, last) == Own()
    assert judge(replace(ESTABLISHED, claim=OTHER_CLAIM), last) == HeldByOther(
        ACCOUNT, OWN_ID, OTHER_ID
    )


def test_a_missing_claim_is_written_again() -> None:
    """Flushed, or lost in a failover. One that another held is left to its holder; a process that
    has not held it itself asks the exchange first.
    """
    lost = replace(ESTABLISHED, claim=None)

    assert judge(lost, Own()) == WriteClaim()
    assert judge(lost, Unchecked()) == ReadMovements()
    assert judge(replace(lost, movements=()), Unchecked()) == WriteClaim()
    unknown = replace(lost, movements=(movement(),))
    assert judge(unknown, Unchecked()) == UnexplainedMovements(ACCOUNT, 1)
    for refusal in (HELD_BY_OTHER, LedgerFellBack(ACCOUNT, OWN_ID, HEAD)):
        assert judge(replace(lost, reached=None), refusal) == refusal


def test_a_new_ledger_claims_an_account_without_movements() -> None:
    assert judge(NEW, Unchecked()) == ReadMovements()
    assert judge(replace(NEW, movements=()), Unchecked()) == WriteClaim()
    failed = (movement(MovementStatus.FAILED),)
    assert judge(replace(NEW, movements=failed), Unchecked()) == WriteClaim()


@pytest.mark.parametrize("status", [MovementStatus.CONFIRMED, MovementStatus.PENDING])
@pytest.mark.parametrize("claim", [None, OWN_CLAIM])
def test_a_new_ledger_does_not_claim_an_account_with_movements(
    claim: AccountClaim | None, status: MovementStatus
) -> None:
    """Until an operator takes the account for it; then it may start, with or without history."""
    moved = replace(NEW, claim=claim, movements=(movement(status), movement(status)))

    assert judge(moved, Unchecked()) == UnexplainedMovements(ACCOUNT, 2)
    assert judge(replace(moved, claim=CONFIRMED), Unchecked()) == Own()
    assert judge(replace(moved, claim=OWN_CLAIM, may_start=True), Unchecked()) == Own()


def test_an_incomplete_history_proves_no_absence() -> None:
    """What is found in it counts; an operator answers for the rest."""
    incomplete = replace(NEW, movements=(), history_problem="row 3 has no amount")

    expected = HistoryIncomplete(ACCOUNT, "row 3 has no amount")
    assert judge(incomplete, Unchecked()) == expected
    assert "take-account" in expected.reason_to_hold
    found = replace(incomplete, movements=(movement(),))
    assert judge(found, Unchecked()) == UnexplainedMovements(ACCOUNT, 1)
    assert judge(replace(incomplete, claim=CONFIRMED), Unchecked()) == Own()


def test_a_ledger_without_a_movement_in_the_history_is_of_another_account() -> None:
    """Whatever else was moved there. One that is bound to the account is not asked again."""
    old = replace(NEW, may_start=True, movements=(movement(),), absent=3)

    assert judge(old, Unchecked()) == HistoryContradicts(ACCOUNT, 3)
    assert judge(replace(old, claim=CONFIRMED), Unchecked()) == Own()
    bound = replace(old, ledger_account=ACCOUNT, movements=())
    assert judge(bound, Unchecked()) == WriteClaim()


@pytest.mark.parametrize("there", ["", "d" * 64])
@pytest.mark.parametrize("claim", [None, OWN_CLAIM, CONFIRMED])
def test_a_ledger_that_lacks_a_commit_it_had_sends_nothing(
    claim: AccountClaim | None, there: str
) -> None:
    """An old backup is shorter, a copy has another commit there; neither writes the claim."""
    backup = replace(ESTABLISHED, claim=claim, hash_there=there)

    assert judge(backup, Own()) == LedgerFellBack(ACCOUNT, OWN_ID, HEAD)


def test_a_ledger_of_another_account_sends_nothing() -> None:
    """Whatever is claimed: the other account's transfers say nothing about this one's."""
    other = replace(ESTABLISHED, account="live:7")

    assert judge(other, Own()) == OfOtherAccount("live:7", ACCOUNT)


def test_money_moves_only_if_nothing_contradicts_it() -> None:
    """Over every combination of the evidence, and every verdict before."""
    claims = (None, OWN_CLAIM, CONFIRMED, OTHER_CLAIM)
    accounts, moved = ("", ACCOUNT, "live:1"), (None, (), (movement(),))
    for claim, account, may_start, movements, there, last in product(
        claims, accounts, (False, True), moved, ("", HEAD.hash), VERDICTS
    ):
        evidence = replace(
            ESTABLISHED,
            claim=claim,
            ledger_account=account,
            may_start=may_start,
            movements=movements,
            hash_there=there,
        )
        if judge(evidence, last) == Own():
            assert claim in {OWN_CLAIM, CONFIRMED}
            assert account in {"", ACCOUNT}
            assert there == HEAD.hash
            assert may_start or movements == () or claim == CONFIRMED


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_but_own_holds_transfers_and_says_why(verdict: AccountVerdict) -> None:
    holds = verdict.reason_to_hold

    assert (verdict.level is Level.GREEN) == (verdict == Own()) == (not holds)
    assert not holds or "nothing is sent" in holds or "retry in a second" in holds


def test_both_installations_are_named() -> None:
    assert OWN_ID in HELD_BY_OTHER.reason_to_hold
    assert OTHER_ID in HELD_BY_OTHER.reason_to_hold
    assert "chimera-s1 ledger take-account" in HELD_BY_OTHER.reason_to_hold
