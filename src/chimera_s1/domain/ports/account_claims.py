"""Port: claims on exchange accounts, shared by all installations that use one Redis."""

from typing import Protocol

from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.treasury.account_claim import AccountClaim


class AccountClaims(Protocol):
    """Claims never expire. Every call raises `PublisherUnavailableError` if it has no answer in
    time; *account* is `live:354937868`.
    """

    async def read(self, account: str) -> AccountClaim | None:
        """The claim, or None; an unreadable one is held by an installation of that text."""
        ...

    async def claim(self, account: str, claim: AccountClaim) -> AccountClaim:
        """Write *claim* if the account has none; the claim stored, the same for every caller."""
        ...

    async def replace(self, account: str, claim: AccountClaim) -> AccountClaim | None:
        """Write *claim* whatever is stored, and forget the head that its installation reached; the
        claim before.
        """
        ...

    async def reached(self, account: str, installation: str) -> LedgerHead | None:
        """The head that the ledger of *installation* has reached; None if none is recorded."""
        ...

    async def record_reached(
        self, account: str, installation: str, head: LedgerHead
    ) -> LedgerHead | None:
        """Record that the ledger of *installation* has reached *head*; the head recorded before."""
        ...
