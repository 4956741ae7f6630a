"""The contract of `AccountClaims`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.account_claims import RedisAccountClaims
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.ports.account_claims import AccountClaims
from chimera_s1.domain.treasury.account_claim import AccountClaim
from tests.contract.redis_cluster import Addresses
from tests.fakes.account_claims import MemoryAccountClaims

ACCOUNT, OTHER_ACCOUNT = "live:1", "simulator:1"
FIRST = AccountClaim(installation="a" * 32, taken_at=1_764_000_000_000)
SECOND = AccountClaim(installation="b" * 32, taken_at=1_764_000_000_001, by_operator=True)
HEAD, LATER = LedgerHead(41, "c" * 64), LedgerHead(42, "d" * 64)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def claims(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[AccountClaims]:
    if request.param == "memory":
        yield MemoryAccountClaims()
        return
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with connect_cluster(addresses) as client:
        for account in (ACCOUNT, OTHER_ACCOUNT):
            names = [f"s1:account:{account}"]
            names += [f"{names[0]}:{each.installation}" for each in (FIRST, SECOND)]
            for name in names:
                await client.execute_command("DEL", name)
        yield RedisAccountClaims(client)


async def test_the_first_claim_stays(claims: AccountClaims) -> None:
    """Another account, or the same number in another environment, is claimed separately."""
    assert await claims.read(ACCOUNT) is None

    await claims.claim(ACCOUNT, FIRST)
    await claims.claim(ACCOUNT, SECOND)
    await claims.claim(OTHER_ACCOUNT, SECOND)

    assert await claims.read(ACCOUNT) == FIRST
    assert await claims.read(OTHER_ACCOUNT) == SECOND


async def test_of_many_callers_at_once_one_gets_the_account(claims: AccountClaims) -> None:
    seen: list[AccountClaim | None] = []

    async def claim(number: int) -> None:
        await claims.claim(ACCOUNT, AccountClaim(installation=f"{number}"))
        seen.append(await claims.read(ACCOUNT))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(claim, number)

    assert len(seen) == 20
    assert set(seen) == {await claims.read(ACCOUNT)}


async def test_an_operator_replaces_a_claim(claims: AccountClaims) -> None:
    """Also where there is none. The head that the installation had reached is forgotten."""
    assert await claims.replace(ACCOUNT, FIRST) is None
    await claims.record_reached(ACCOUNT, FIRST.installation, HEAD, after=None)
    await claims.record_reached(ACCOUNT, SECOND.installation, HEAD, after=None)

    assert await claims.replace(ACCOUNT, SECOND) == FIRST

    assert await claims.read(ACCOUNT) == SECOND
    assert await claims.reached(ACCOUNT, SECOND.installation) is None
    assert await claims.reached(ACCOUNT, FIRST.installation) == HEAD


async def test_a_head_is_recorded_only_after_the_one_that_was_read(claims: AccountClaims) -> None:
    """So of two copies of a ledger, the second one learns of the first, whose head stays."""
    own = (ACCOUNT, FIRST.installation)
    assert await claims.reached(*own) is None
    assert await claims.record_reached(*own, HEAD, after=LATER) is None
    assert await claims.reached(*own) is None

    assert await claims.record_reached(*own, HEAD, after=None) is None
    assert await claims.record_reached(*own, LATER, after=HEAD) == HEAD
    assert await claims.reached(*own) == LATER

    for stale in (None, HEAD):
        assert await claims.record_reached(*own, LedgerHead(43, "e" * 64), after=stale) == LATER
    assert await claims.reached(*own) == LATER


async def test_what_others_wrote_is_another_installation_and_an_unknown_head(
    redis_single_node: Addresses,
) -> None:
    """An operator's plain text is the id; anything else claims the account for nobody known."""
    async with connect_cluster(redis_single_node) as client:
        claims = RedisAccountClaims(client)
        for text in (FIRST.installation, '{"installation": 7}', "{", ""):
            await client.execute_command("SET", f"s1:account:{ACCOUNT}", text)
            assert await claims.read(ACCOUNT) == AccountClaim(installation=text)
        for text in ("42", "x y", "", "-1 abc", "0 abc"):
            await client.execute_command("SET", f"s1:account:{ACCOUNT}:a", text)
            assert await claims.reached(ACCOUNT, "a") == LedgerHead(1, text)


Break = Callable[[], Awaitable[None]]


class Breakable(Struct):
    """Claims, and how a test makes them unavailable."""

    port: AccountClaims
    make_unavailable: Break


@pytest.fixture(params=["memory", "redis"])
async def breakable(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[Breakable]:
    if request.param == "memory":
        memory = MemoryAccountClaims()

        async def fail() -> None:
            memory.unavailable = True

        yield Breakable(memory, fail)
        return
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        connect_cluster(embedded.addresses) as client,
    ):
        yield Breakable(RedisAccountClaims(client, timeout_s=0.2), embedded.nodes[0].stop)


async def test_an_unavailable_store_is_an_error_of_every_call(breakable: Breakable) -> None:
    await breakable.port.claim(ACCOUNT, FIRST)
    await breakable.make_unavailable()

    with pytest.raises(PublisherUnavailableError):
        await breakable.port.read(ACCOUNT)
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.claim(ACCOUNT, FIRST)
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.replace(ACCOUNT, FIRST)
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.reached(ACCOUNT, FIRST.installation)
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.record_reached(ACCOUNT, FIRST.installation, HEAD, after=None)
