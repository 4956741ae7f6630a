"""The object graph is complete, consistent and follows the settings."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.app.capabilities.treasury.wiring import build_gateway
from chimera_s1.app.capability import Capability
from chimera_s1.app.container import Container
from chimera_s1.app.foundation import served_endpoints
from chimera_s1.app.runtime import open_capabilities
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.web.connections import Connections
from chimera_s1.domain.errors import ConfigurationError, StoreUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import HealthSource, Level
from chimera_s1.domain.operations.schedule import MINUTE_MS, Every
from chimera_s1.domain.operations.trading_mode import TradingHalted, TradingMode

SIMULATED = {
    "S1_BINANCE_ENV": "simulator",
    "S1_BINANCE_SPOT_REST_URL": "http://127.0.0.1:1",
    "S1_BINANCE_SPOT_WS_URL": "ws://127.0.0.1:2",
    "S1_BINANCE_PERP_REST_URL": "http://127.0.0.1:3",
    "S1_BINANCE_PERP_WS_URL": "ws://127.0.0.1:4",
}
WITH_KEY = {**SIMULATED, "S1_BINANCE_KEY": "key", "S1_BINANCE_SECRET": "secret"}


@asynccontextmanager
async def unconnected() -> AsyncIterator[ClusterClient]:
    """A client that never connects."""
    yield ClusterClient([RedisAddress("127.0.0.1", 9)])


@asynccontextmanager
async def opened(
    environ: Mapping[str, str], directory: Path
) -> AsyncIterator[tuple[Container, tuple[Capability, ...]]]:
    """Every capability of a service with its state in *directory*; nothing runs."""
    container = Container(
        settings=load_settings({"S1_STATE_DIR": str(directory), **environ}),
        connect_redis=unconnected,
        pulse_watchdog=lambda: None,
        connections=Connections(),
    )
    async with AsyncExitStack() as stack:
        yield container, await open_capabilities(container, stack)


async def test_every_provider_resolves(tmp_path: Path) -> None:
    """A missing or misspelt dependency is found here and not at the first request."""
    async with opened(WITH_KEY, tmp_path) as (container, _):
        container.check_dependencies()
        resolved = {name: provider() for name, provider in container.providers.items()}

    assert {"operations", "health", "metrics", "web"} <= resolved.keys()
    assert all(part is not None for part in resolved.values())


async def test_without_a_key_nothing_moves_money(tmp_path: Path) -> None:
    """No workers, no health component; the routes answer with the reason."""
    async with opened(SIMULATED, tmp_path) as (_, capabilities):
        treasury = next(each for each in capabilities if each.name == "treasury")

    assert (treasury.workers, treasury.jobs, treasury.health) == ((), (), ())
    assert treasury.web.routes


async def test_market_data_is_served_while_the_store_is_in_use(tmp_path: Path) -> None:
    """By another instance in the same directory. Money needs its ledger at once."""
    async with opened(SIMULATED, tmp_path), opened(SIMULATED, tmp_path) as (container, _):
        with pytest.raises(StoreUnavailableError, match="in use by process"):
            await container.stores().cursors.read("any")
        with pytest.raises(ConfigurationError, match="in use by process"):
            async with opened(WITH_KEY, tmp_path):
                pass


async def test_with_a_key_the_treasury_works(tmp_path: Path) -> None:
    async with opened(WITH_KEY, tmp_path) as (_, capabilities):
        treasury = next(each for each in capabilities if each.name == "treasury")

    assert "treasury executor" in [worker.name for worker in treasury.workers]
    assert [source.name for source in treasury.health] == ["treasury"]


async def test_real_quotes_in_an_embedded_redis_are_a_warning(tmp_path: Path) -> None:
    """Not where a cluster is named, and not for a simulator."""
    sources: dict[str, HealthSource] = {}
    given: tuple[dict[str, str], ...] = ({}, {"S1_REDIS_ADDRESSES": "redis:6379"}, SIMULATED)
    for environ in given:
        async with opened(environ, tmp_path) as (_, capabilities):
            sources = {source.name: source for each in capabilities for source in each.health}
        assert ("redis.embedded" in sources) == (environ == {})
        if environ == {}:
            assert sources["redis.embedded"].report().level is Level.YELLOW


@pytest.mark.parametrize("mode", ["wallet", "subaccount"])
async def test_the_mode_chooses_the_transfer_of_the_exchange(mode: str) -> None:
    settings = load_settings({**WITH_KEY, "S1_TREASURY_MODE": mode})

    limits = Container(settings=settings).limits()

    async with build_gateway(settings, limits.budgets, lambda: 0.0) as gateway:
        assert gateway.mode.value == mode


async def test_health_says_that_no_account_is_followed_without_a_key(tmp_path: Path) -> None:
    async with opened(SIMULATED, tmp_path) as (container, _):
        components = {each.name: each for each in container.health().snapshot().components}
    account = components["account"]
    assert (account.level, account.detail) == (
        Level.GREEN,
        "not followed: no exchange key is configured (S1_BINANCE_KEY)",
    )
    assert not {"orders", "reconciliation", "private_stream.spot"} & components.keys()


async def test_health_shows_the_one_trading_mode(tmp_path: Path) -> None:
    async with opened(WITH_KEY, tmp_path) as (container, _):
        container.operations().trading_mode.apply(TradingHalted())

        assert container.health().snapshot().mode is TradingMode.HALTED


def test_a_missing_dependency_is_named() -> None:
    incomplete = Container(settings=load_settings(SIMULATED))

    with pytest.raises(Exception, match="connect_redis"):
        incomplete.check_dependencies()


async def test_each_part_exists_once(tmp_path: Path) -> None:
    """What is measured is what works."""
    async with opened(WITH_KEY, tmp_path) as (container, _):
        for name in ("operations", "capabilities", "health", "metrics", "access", "clock"):
            provider = container.providers[name]
            assert provider() is provider()


@pytest.mark.parametrize(
    ("venues", "expected"),
    [("spot,perp", [Venue.SPOT, Venue.PERP]), ("perp", [Venue.PERP])],
)
async def test_each_venue_served_has_a_feed_a_patrol_and_its_lines_of_health(
    venues: str, expected: list[Venue], tmp_path: Path
) -> None:
    async with opened({**SIMULATED, "S1_VENUES": venues}, tmp_path) as (container, capabilities):
        names = {component.name for component in container.health().snapshot().components}
        workers = {worker.name for each in capabilities for worker in each.workers}
        patrols = [patrol.venue for patrol in container.operations().patrols]

    assert patrols == expected
    for kind in ("feed", "clock", "market"):
        assert {name for name in names if name.startswith(kind)} == {
            f"{kind}.{venue}" for venue in expected
        }
    assert {"redis", "loop"} <= names
    for kind in ("feed", "clock", "liveness"):
        assert {f"{kind}.{venue}" for venue in expected} <= workers


async def test_the_listing_of_each_venue_is_read_every_quarter_of_an_hour(tmp_path: Path) -> None:
    """Also that of futures, whose stream of listings may be down."""
    async with opened(SIMULATED, tmp_path) as (_, capabilities):
        schedules = {job.name: job.schedule for each in capabilities for job in each.jobs}

    for venue in Venue:
        assert schedules[f"instruments.{venue}"] == Every(15 * MINUTE_MS)


async def test_before_anything_runs_the_service_is_not_ready(tmp_path: Path) -> None:
    """Nothing is healthy until it has proved so."""
    async with opened(WITH_KEY, tmp_path) as (container, _):
        snapshot = container.health().snapshot()

    assert not snapshot.ready
    waiting = {each.name: each.level for each in snapshot.components if not each.ready}
    assert {"feed.spot", "feed.perp", "redis"} <= waiting.keys()
    assert Level.RED not in waiting.values(), "a start is not RED before its grace"


async def test_what_is_recorded_while_stopping_is_written_last(tmp_path: Path) -> None:
    """Estimates and quotes first; then a standby may publish. Operational events follow, also those
    of the capabilities that stop; last the letters that they become where Redis does not take them.
    """
    async with opened(WITH_KEY, tmp_path) as (_, capabilities):
        written = [pending.name for each in capabilities for pending in each.pending_writes]

    assert written == [
        "funding estimates",
        "quotes",
        "downtime",
        "states of spot",
        "states of perp",
        "publisher leases",
        "reports of the account",
        "heartbeat",
        "operational events",
        "dead letters",
    ]


def test_overrides_replace_one_host_each() -> None:
    settings = load_settings({"S1_BINANCE_SPOT_WS_URL": "wss://example.test:9443"})

    endpoints = served_endpoints(settings)

    assert endpoints[Venue.SPOT].ws_url == "wss://example.test:9443"
    assert endpoints[Venue.SPOT].rest_url == "https://api.binance.com"
    assert endpoints[Venue.PERP].ws_url == "wss://fstream.binance.com"


def test_the_test_network_is_never_mixed_with_the_real_one() -> None:
    endpoints = served_endpoints(load_settings({"S1_BINANCE_ENV": "testnet"}))

    real = served_endpoints(load_settings({}))
    assert {Venue.SPOT, Venue.PERP} == endpoints.keys()
    assert not {*_urls(endpoints)} & {*_urls(real)}


def _urls(endpoints: Mapping[Venue, Endpoints]) -> list[str]:
    return [
        url
        for each in endpoints.values()
        for url in (each.rest_url, each.ws_url, each.ws_api_url)
        if url
    ]


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "wss://ws-api.binance.com:443/ws-api/v3"),
        ({"S1_BINANCE_ENV": "testnet"}, "wss://ws-api.testnet.binance.vision/ws-api/v3"),
        (SIMULATED, f"{SIMULATED['S1_BINANCE_SPOT_WS_URL']}/ws-api/v3"),
        (
            {"S1_BINANCE_SPOT_WS_API_URL": "wss://example.test/ws-api/v3"},
            "wss://example.test/ws-api/v3",
        ),
    ],
)
def test_the_websocket_api_of_spot_is_part_of_the_environment(
    environ: dict[str, str], url: str
) -> None:
    endpoints = served_endpoints(load_settings(environ))

    assert endpoints[Venue.SPOT].ws_api_url == url
    assert endpoints[Venue.PERP].ws_api_url == ""


def test_the_websocket_api_must_be_allowed_where_there_is_a_key() -> None:
    allow = "api.binance.com,stream.binance.com,fapi.binance.com,fstream.binance.com"
    environ = {"S1_EGRESS_ALLOW": allow}
    served_endpoints(load_settings(environ))

    with pytest.raises(ConfigurationError, match=r"ws-api\.binance\.com is not in S1_EGRESS_ALLOW"):
        served_endpoints(
            load_settings({**environ, "S1_BINANCE_KEY": "k", "S1_BINANCE_SECRET": "s"})
        )


@pytest.mark.parametrize("shard", ["0/2", "1/2"])
async def test_each_shard_on_sqlite_syncs_its_own_registry(tmp_path: Path, shard: str) -> None:
    """Shard 0 runs the jobs of one instance; changes are relayed by shard 0 alone."""
    async with opened({**SIMULATED, "S1_SHARD": shard}, tmp_path) as (_, capabilities):
        instruments = next(each for each in capabilities if each.name == "instruments")

    syncs = {job.name: job.each_instance for job in instruments.jobs}
    relays = [each.name for each in instruments.workers if each.name == "instruments relay"]
    others = shard != "0/2"
    for name in ("instruments.sync", "instruments.spot", "instruments.perp"):
        assert syncs[name] is others
    assert bool(relays) is not others
