"""Claims on exchange accounts in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.treasury.account_claim import AccountClaim


class MemoryAccountClaims:
    """Implements `domain.ports.account_claims.AccountClaims`.

    Attributes:
        stored: By account; may be changed by a test.
        heads: By account and installation.
        unavailable: While set, every call raises.
        reads: Of claims.
    """

    def __init__(self) -> None:
        self.stored: dict[str, AccountClaim] = {}
        self.heads: dict[tuple[str, str], LedgerHead] = {}
        self.unavailable = False
        self.reads = 0

    async def read(self, account: str) -> AccountClaim | None:
        await self._check_available()
        self.reads += 1
        return self.stored.get(account)

    async def claim(self, account: str, claim: AccountClaim) -> None:
        await self._check_available()
        self.stored.setdefault(account, claim)

    async def replace(self, account: str, claim: AccountClaim) -> AccountClaim | None:
        await self._check_available()
        before = self.stored.get(account)
        self.stored[account] = claim
        self.heads.pop((account, claim.installation), None)
        return before

    async def reached(self, account: str, installation: str) -> LedgerHead | None:
        await self._check_available()
        return self.heads.get((account, installation))

    async def record_reached(
        self, account: str, installation: str, head: LedgerHead, *, after: LedgerHead | None
    ) -> LedgerHead | None:
        await self._check_available()
        before = self.heads.get((account, installation))
        if before == after:
            self.heads[account, installation] = head
        return before

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise PublisherUnavailableError("Redis: unavailable")
