"""The object graph: complete, of one piece, and as the settings say."""

from collections.abc import Iterator, Mapping

import pytest

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.ledger.stores import memory_stores
from chimera_s1.app.capabilities.market.wiring import build_endpoints
from chimera_s1.app.capabilities.operations.watch_loop import LoopWatchdog
from chimera_s1.app.capabilities.treasury.wiring import (
    NoTreasury,
    TreasuryAccess,
    TreasuryResources,
    treasury_enabled,
)
from chimera_s1.app.container import Container
from chimera_s1.app.settings.settings import load_settings
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level

SIMULATED = {
    "S1_BINANCE_ENV": "simulator",
    "S1_BINANCE_SPOT_REST_URL": "http://127.0.0.1:1",
    "S1_BINANCE_SPOT_WS_URL": "ws://127.0.0.1:2",
    "S1_BINANCE_PERP_REST_URL": "http://127.0.0.1:3",
    "S1_BINANCE_PERP_WS_URL": "ws://127.0.0.1:4",
}


def client() -> ClusterClient:
    """A client that never connects."""
    return ClusterClient([RedisAddress("127.0.0.1", 9)])


def container_of(environ: Mapping[str, str]) -> Container:
    clients = {
        name: client()
        for name, part in Container.dependencies.items()
        if part.instance_of is ClusterClient  # type: ignore[attr-defined]  # the stubs say Provider
    }
    settings = load_settings(environ)
    opening: TreasuryAccess = NoTreasury()
    if treasury_enabled(settings):
        opening = TreasuryResources(memory_stores(SystemClock()), client())
    return Container(
        settings=settings,
        watchdog=LoopWatchdog(lambda _: None),
        treasury_resources=opening,
        **clients,
    )


WITH_KEY = {**SIMULATED, "S1_BINANCE_KEY": "key", "S1_BINANCE_SECRET": "secret"}


@pytest.fixture
def container() -> Iterator[Container]:
    made = container_of(WITH_KEY)
    yield made
    made.reset_singletons()


async def test_every_provider_resolves(container: Container) -> None:
    """A missing or misspelt dependency is found here and not at the first request."""
    container.check_dependencies()
    resolved = {name: provider() for name, provider in container.providers.items()}

    assert {"feeds", "publish_quotes", "health", "web"} <= resolved.keys()
    assert all(part is not None for part in resolved.values())
    await container.exchange().__aexit__(None, None, None)
    await container.gateway().__aexit__(None, None, None)


def test_without_a_key_nothing_moves_money() -> None:
    """No workers, no component of health; the routes are there and say why not."""
    treasury = container_of(SIMULATED).treasury()

    assert treasury.workers is None
    assert treasury.ledger.open_transfers.head.seq == 0


@pytest.mark.parametrize("mode", ["wallet", "subaccount"])
async def test_the_mode_chooses_the_transfer_of_the_exchange(mode: str) -> None:
    container = container_of({**WITH_KEY, "S1_TREASURY_MODE": mode})

    gateway = container.gateway()

    assert gateway.mode.value == mode
    await gateway.__aexit__(None, None, None)


def test_a_client_that_is_missing_is_told() -> None:
    incomplete = Container(settings=load_settings(SIMULATED), quotes_client=client())

    with pytest.raises(Exception, match="operations_client"):
        incomplete.check_dependencies()


async def test_each_part_exists_once(container: Container) -> None:
    """The publisher that is measured is the one that publishes, and so for every part."""
    for name in ("feeds", "publish_quotes", "board", "operations", "health", "patrols", "clock"):
        provider = container.providers[name]
        assert provider() is provider()


@pytest.mark.parametrize(
    ("venues", "expected"),
    [("spot,perp", [Venue.SPOT, Venue.PERP]), ("perp", [Venue.PERP])],
)
async def test_each_venue_served_has_a_feed_a_patrol_and_its_lines_of_health(
    venues: str, expected: list[Venue]
) -> None:
    container = container_of({**SIMULATED, "S1_VENUES": venues})

    names = [component.name for component in container.health().snapshot().components]

    assert [feed.venue for feed in container.feeds()] == expected
    assert [serving.venue for serving in container.feed_servers()] == expected
    assert [patrol.venue for patrol in container.patrols()] == expected
    assert {f"feed.{venue}" for venue in expected} | {"redis", "loop"} <= set(names)
    assert {f"clock.{venue}" for venue in expected} <= set(names)


async def test_before_anything_runs_the_service_is_not_ready(container: Container) -> None:
    """Nothing is healthy until it has proved so."""
    snapshot = container.health().snapshot()

    assert not snapshot.ready
    red = {each.name for each in snapshot.components if each.level is Level.RED}
    assert {"feed.spot", "feed.perp", "redis"} <= red


def test_overrides_replace_one_host_each() -> None:
    settings = load_settings({"S1_BINANCE_SPOT_WS_URL": "wss://example.test:9443"})

    endpoints = build_endpoints(settings)

    assert endpoints[Venue.SPOT].ws_url == "wss://example.test:9443"
    assert endpoints[Venue.SPOT].rest_url == "https://api.binance.com"
    assert endpoints[Venue.PERP].ws_url == "wss://fstream.binance.com"


def test_the_test_network_is_never_mixed_with_the_real_one() -> None:
    endpoints = build_endpoints(load_settings({"S1_BINANCE_ENV": "testnet"}))

    real = build_endpoints(load_settings({}))
    assert {Venue.SPOT, Venue.PERP} == endpoints.keys()
    assert not {*_urls(endpoints)} & {*_urls(real)}


def _urls(endpoints: Mapping[Venue, Endpoints]) -> list[str]:
    return [url for each in endpoints.values() for url in (each.rest_url, each.ws_url)]
