"""Claims on exchange accounts: `s1:account:<account>`, and the ledger's head beside each."""

from typing import Final

import anyio
import msgspec

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import account_claim_key, ledger_head_key
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.treasury.account_claim import AccountClaim

TIMEOUT_S = 2.0
"""Of one call with all its commands."""

_ADVANCE: Final = """
local before = redis.call('GET', KEYS[1])
if (before or '') == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
end
return before
"""


class RedisAccountClaims:
    """Implements `domain.ports.account_claims.AccountClaims`."""

    def __init__(self, client: ClusterClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def read(self, account: str) -> AccountClaim | None:
        return _decode_claim(await self._command("GET", account_claim_key(account)))

    async def claim(self, account: str, claim: AccountClaim) -> None:
        await self._command("SET", account_claim_key(account), _text(claim), "NX")

    async def replace(self, account: str, claim: AccountClaim) -> AccountClaim | None:
        await self._command("DEL", ledger_head_key(account, claim.installation))
        # By the option redis-py returns the value, without it whether the server replied OK.
        key, text = account_claim_key(account), _text(claim)
        return _decode_claim(await self._command("SET", key, text, "GET", get=True))

    async def reached(self, account: str, installation: str) -> LedgerHead | None:
        return _decode_head(await self._command("GET", ledger_head_key(account, installation)))

    async def record_reached(
        self, account: str, installation: str, head: LedgerHead, *, after: LedgerHead | None
    ) -> LedgerHead | None:
        key = ledger_head_key(account, installation)
        expected = _head_text(after) if after is not None else ""
        return _decode_head(
            await self._command("EVAL", _ADVANCE, 1, key, expected, _head_text(head))
        )

    async def _command(self, *words: str | int, **options: bool) -> str | None:
        with self._client.translate_errors(str(words[1])), anyio.fail_after(self._timeout_s):
            answer = await self._client.execute_command(*words, **options)
        return answer if isinstance(answer, str) else None


def _head_text(head: LedgerHead) -> str:
    return f"{head.seq} {head.hash}"


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
