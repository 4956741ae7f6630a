"""Every verdict on an exchange account."""

from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.treasury.account_claim import (
    AccountVerdict,
    HeldByOther,
    HistoryContradicts,
    HistoryIncomplete,
    LedgerFellBack,
    OfOtherAccount,
    Own,
    Unchecked,
    UnexplainedMovements,
)

ACCOUNT = "live:354937868"
OWN_ID, OTHER_ID = "a" * 32, "b" * 32
HELD_BY_OTHER = HeldByOther(ACCOUNT, OWN_ID, OTHER_ID)
VERDICTS: tuple[AccountVerdict, ...] = (
    Own(),
    Unchecked(),
    Unchecked("Redis: timed out"),
    HELD_BY_OTHER,
    OfOtherAccount(ACCOUNT, "live:1"),
    UnexplainedMovements(ACCOUNT, 2),
    HistoryContradicts(ACCOUNT, 3),
    HistoryIncomplete(ACCOUNT, "row 3 has no amount"),
    LedgerFellBack(ACCOUNT, OWN_ID, LedgerHead(42, "c" * 64)),
)
