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

    async def claim(self, account: str, claim: AccountClaim) -> None:
        """Write *claim* if the account has none."""
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
        self, account: str, installation: str, head: LedgerHead, *, after: LedgerHead | None
    ) -> LedgerHead | None:
        """Record that the ledger of *installation* has reached *head* if *after* is recorded; the
        head recorded before. If it is not *after*, nothing is changed.
        """
        ...
