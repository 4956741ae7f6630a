"""Claims on exchange accounts: `s1:account:<account>`, and the ledger's head beside each."""

import anyio
import msgspec

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import translate_redis_errors
from chimera_s1.adapters.redis.keys import account_claim_key, ledger_head_key
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.treasury.account_claim import AccountClaim

TIMEOUT_S = 2.0
"""Of one call with all its commands."""


class RedisAccountClaims:
    """Implements `domain.ports.account_claims.AccountClaims`."""

    def __init__(self, client: ClusterClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def read(self, account: str) -> AccountClaim | None:
        return _decode_claim(await self._command("GET", account_claim_key(account)))

    async def claim(self, account: str, claim: AccountClaim) -> AccountClaim:
        key = account_claim_key(account)
        await self._command("SET", key, _text(claim), "NX")
        stored = _decode_claim(await self._command("GET", key))
        if stored is None:
            raise PublisherUnavailableError(f"Redis: {key} was deleted while it was written")
        return stored

    async def replace(self, account: str, claim: AccountClaim) -> AccountClaim | None:
        await self._command("DEL", ledger_head_key(account, claim.installation))
        return _decode_claim(await self._exchange(account_claim_key(account), _text(claim)))

    async def reached(self, account: str, installation: str) -> LedgerHead | None:
        return _decode_head(await self._command("GET", ledger_head_key(account, installation)))

    async def record_reached(
        self, account: str, installation: str, head: LedgerHead
    ) -> LedgerHead | None:
        key = ledger_head_key(account, installation)
        return _decode_head(await self._exchange(key, f"{head.seq} {head.hash}"))

    async def _exchange(self, key: str, text: str) -> str | None:
        """Set *key*; its value before."""
        # By the option redis-py returns the value, without it whether the server replied OK.
        return await self._command("SET", key, text, "GET", get=True)

    async def _command(self, *words: str, **options: bool) -> str | None:
        with translate_redis_errors(), anyio.fail_after(self._timeout_s):
            answer = await self._client.execute_command(*words, **options)
        return answer if isinstance(answer, str) else None


def _text(claim: AccountClaim) -> str:
    return msgspec.json.encode(claim).decode()


def _decode_claim(stored: str | None) -> AccountClaim | None:
    if stored is None:
        return None
    try:
        return msgspec.json.decode(stored, type=AccountClaim)
    except msgspec.MsgspecError:
        return AccountClaim(installation=stored.strip())


def _decode_head(stored: str | None) -> LedgerHead | None:
    if stored is None:
        return None
    seq, _, digest = stored.partition(" ")
    if seq.isdecimal() and int(seq) > 0 and digest:
        return LedgerHead(int(seq), digest)
    return LedgerHead(1, stored)  # no ledger has it
