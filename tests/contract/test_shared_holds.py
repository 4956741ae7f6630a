"""The contract of `SharedHolds`, over memory and over real Redis Clusters."""

import itertools
from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.keys import hold_key
from chimera_s1.adapters.redis.shared_holds import RedisSharedHolds
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope
from chimera_s1.domain.ports.shared_holds import SharedHold, SharedHolds
from tests.contract.redis_cluster import Addresses
from tests.fakes.manual_clock import ManualClock
from tests.fakes.shared_holds import MemorySharedHolds

LIVE, TESTNET = "live", "testnet"
BANNED = SharedHold(
    scope=HoldScope.REQUESTS,
    left_ms=600_000,
    reason=HoldReason.BANNED,
    cause='a request was answered 418 "Way too much"',
    instance="host-7",
)
LATENCY_MS = 60_000
"""Far more than a test takes: what is left shrinks while it runs."""


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def holds(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[SharedHolds]:
    if request.param == "memory":
        yield MemorySharedHolds(ManualClock())
        return
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with connect_cluster(addresses) as client:
        await forget(client)
        yield RedisSharedHolds(client, LIVE)


async def forget(client: ClusterClient) -> None:
    for environment, venue in itertools.product((LIVE, TESTNET), Venue):
        await client.execute_command("DEL", hold_key(environment, venue))


def assert_held(held: tuple[SharedHold, ...], *expected: SharedHold) -> None:
    """Times may have shrunk a little."""
    by_scope = {each.scope: each for each in held}
    assert by_scope.keys() == {each.scope for each in expected}
    for hold in expected:
        found = by_scope[hold.scope]
        assert structs.replace(found, left_ms=0) == structs.replace(hold, left_ms=0)
        assert hold.left_ms - LATENCY_MS < found.left_ms <= hold.left_ms


async def test_a_hold_is_shown_to_others_with_its_cause(holds: SharedHolds) -> None:
    """Of its venue only, until its time is over."""
    assert await holds.share(Venue.SPOT, ()) == ()
    await holds.share(Venue.SPOT, [BANNED])

    assert_held(await holds.share(Venue.SPOT, ()), BANNED)
    assert await holds.share(Venue.PERP, ()) == ()


async def test_a_shared_hold_is_never_shortened(holds: SharedHolds) -> None:
    """By a shorter one of whatever cause; a longer one takes its place."""
    shorter = structs.replace(BANNED, left_ms=300_000, cause="shorter", instance="host-8")
    longer = structs.replace(BANNED, left_ms=900_000, cause="longer", instance="host-8")

    assert_held(await holds.share(Venue.SPOT, [BANNED]), BANNED)
    assert_held(await holds.share(Venue.SPOT, [shorter]), BANNED)
    assert_held(await holds.share(Venue.SPOT, [longer, shorter]), longer)


async def test_dials_and_requests_are_held_apart(holds: SharedHolds) -> None:
    closed = structs.replace(BANNED, scope=HoldScope.DIALS, reason=HoldReason.POLICY, cause="1008")
    await holds.share(Venue.PERP, [BANNED])

    assert_held(await holds.share(Venue.PERP, [closed]), BANNED, closed)


async def test_a_hold_is_gone_when_its_time_is_over() -> None:
    """In memory; Redis is asked for the time it will forget it."""
    clock = ManualClock()
    holds = MemorySharedHolds(clock)
    await holds.share(Venue.SPOT, [BANNED])
    await clock.advance(BANNED.left_ms)

    assert await holds.share(Venue.SPOT, ()) == ()


async def test_environments_that_share_one_redis_share_no_hold(
    redis_single_node: Addresses,
) -> None:
    """A ban on the testnet says nothing about the live hosts, and the other way round."""
    async with connect_cluster(redis_single_node) as client:
        await forget(client)
        testnet, live = (RedisSharedHolds(client, each) for each in (TESTNET, LIVE))
        await testnet.share(Venue.SPOT, [BANNED])

        assert await live.share(Venue.SPOT, ()) == ()
        assert_held(await testnet.share(Venue.SPOT, ()), BANNED)


async def test_redis_forgets_the_key_with_its_last_hold(redis_single_node: Addresses) -> None:
    async with connect_cluster(redis_single_node) as client:
        await forget(client)
        holds = RedisSharedHolds(client, LIVE)
        closed = structs.replace(BANNED, scope=HoldScope.DIALS, left_ms=200_000)
        await holds.share(Venue.SPOT, [BANNED, closed])
        left_ms = await client.execute_command("PTTL", hold_key(LIVE, Venue.SPOT))

    assert BANNED.left_ms - LATENCY_MS < left_ms <= BANNED.left_ms


@pytest.mark.parametrize("text", ["[]", '{"reason":"new","cause":"said","instance":"host-9"}'])
async def test_a_hold_of_another_version_holds_all_the_same(
    redis_single_node: Addresses, text: str
) -> None:
    """So does one whose reason cannot be read."""
    async with connect_cluster(redis_single_node) as client:
        await forget(client)
        value = f"99999999999999 {text}"
        await client.execute_command("HSET", hold_key(LIVE, Venue.SPOT), "requests", value)
        (held,) = await RedisSharedHolds(client, LIVE).share(Venue.SPOT, ())
        await forget(client)

    assert (held.scope, held.reason) == (HoldScope.REQUESTS, HoldReason.RATE_LIMITED)
    assert held.left_ms > 0


async def test_a_key_of_another_type_is_an_error_of_the_port(redis_single_node: Addresses) -> None:
    async with connect_cluster(redis_single_node) as client:
        await forget(client)
        await client.execute_command("SET", hold_key(LIVE, Venue.SPOT), "text")
        with pytest.raises((PublisherUnavailableError, ConfigurationError), match="WRONGTYPE"):
            await RedisSharedHolds(client, LIVE).share(Venue.SPOT, [BANNED])
        await forget(client)
