"""What every capability is built on, and the exchange's hosts by setting."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from secrets import token_hex
from socket import gethostname

from msgspec import Struct

from chimera_s1.adapters.binance.account_key import KeySource, ReadAccountKey, no_key
from chimera_s1.adapters.binance.egress import Egress, HostNotAllowedError
from chimera_s1.adapters.binance.endpoints import (
    LIVE_ENDPOINTS,
    TESTNET_ENDPOINTS,
    Endpoints,
    simulated_ws_api_url,
)
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.request_limits import venue_of
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, VenueClock
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.adapters.binance.streams.dial_gate import DialGate, dial_gates
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.settings.types import BinanceEnvironment
from chimera_s1.app.stores import Stores
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.instance_count import InstanceCount
from chimera_s1.domain.operations.request_bucket import LimitSource
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.clock import Clock

ConnectRedis = Callable[[], AbstractAsyncContextManager[ClusterClient]]


class ExchangeLimits(Struct, frozen=True):
    """What each venue lets this process do; what one part hears of a limit holds for all."""

    budgets: Mapping[Venue, WeightBudget]
    gates: Mapping[Venue, DialGate]


def exchange_limits(settings: CoreSettings, clock: Clock) -> ExchangeLimits:
    """Those of one process, with the share of an instance that knows of no other yet."""
    holds = {venue: VenueHold() for venue in Venue}
    assumed = InstanceCount(settings.shard.count).assumed
    budgets = weight_budgets(clock, holds, assumed)
    for name, limit in settings.request_limits:
        budgets[venue_of(name)].requests.learn(name, limit, LimitSource.SETTING)
    return ExchangeLimits(budgets, dial_gates(clock, holds, assumed))


class Foundation(Struct, frozen=True, kw_only=True):
    """Shared by all capabilities.

    Attributes:
        instance: Names this process: host name, process id and a random part.
        stores: Of the whole instance. A call raises `StoreUnavailableError` while the database is
            away; the service goes on.
        connect_redis: Opens a client of the cluster; a slow use delays only users of that client.
        budgets: The request weight that is left on each venue's host.
        gates: Every dial of a venue's sockets passes its gate.
        pulse_watchdog: Called regularly from the event loop.
    """

    settings: CoreSettings
    instance: str
    clock: Clock
    stores: Stores
    connect_redis: ConnectRedis
    budgets: Mapping[Venue, WeightBudget]
    gates: Mapping[Venue, DialGate]
    pulse_watchdog: Callable[[], None]


def name_instance() -> str:
    # Two containers may share a host name, and both have process id 1.
    return f"{gethostname()}-{os.getpid()}-{token_hex(4)}"


def served_endpoints(settings: CoreSettings) -> Mapping[Venue, Endpoints]:
    """Where each venue in `S1_VENUES` listens."""
    return endpoints_for(settings, settings.venues)


def endpoints_for(settings: CoreSettings, venues: tuple[Venue, ...]) -> Mapping[Venue, Endpoints]:
    """Where each of *venues* listens: the environment's hosts, overridden one by one.

    Raises:
        ConfigurationError: `S1_EGRESS_ALLOW` refuses one of them.
    """
    testnet = settings.binance_env is BinanceEnvironment.TESTNET
    hosts = TESTNET_ENDPOINTS if testnet else LIVE_ENDPOINTS
    overrides = {
        Venue.SPOT: (settings.binance_spot_rest_url, settings.binance_spot_ws_url),
        Venue.PERP: (settings.binance_perp_rest_url, settings.binance_perp_ws_url),
    }
    egress = egress_for(settings)
    endpoints = {
        venue: Endpoints(
            overrides[venue][0] or hosts[venue].rest_url,
            overrides[venue][1] or hosts[venue].ws_url,
            egress,
            _ws_api_url(settings, hosts) if venue is Venue.SPOT else "",
        )
        for venue in venues
    }
    for each in endpoints.values():
        _check_allowed(each, orders=settings.moves_money)
    return endpoints


def _ws_api_url(settings: CoreSettings, hosts: Mapping[Venue, Endpoints]) -> str:
    if settings.binance_spot_ws_api_url is not None:
        return settings.binance_spot_ws_api_url
    if settings.binance_env is BinanceEnvironment.SIMULATOR:
        return simulated_ws_api_url(settings.binance_spot_ws_url or "")
    return hosts[Venue.SPOT].ws_api_url


def exchange_key(
    settings: CoreSettings,
    client: HttpClient,
    exchange_ms: VenueClock,
    named_by: Callable[[], Venue] = lambda: Venue.SPOT,
) -> KeySource:
    """The key of the settings, which may change at run time; its account is read by *client*, of
    the venue that *named_by* says.
    """
    if not settings.moves_money:
        return no_key
    read_key, read_secret = settings.secret("binance_key"), settings.secret("binance_secret")

    def read() -> Credentials:
        return Credentials(Secret(read_key()), Secret(read_secret()))

    return ReadAccountKey(client, read, exchange_ms, settings.binance_env.value, named_by)


def egress_for(settings: CoreSettings) -> Egress:
    """How connections to the exchange and its archive leave this machine."""
    proxy = settings.egress_proxy.get_secret_value() if settings.egress_proxy else ""
    return Egress(proxy, settings.egress_allow)


def _check_allowed(endpoints: Endpoints, *, orders: bool) -> None:
    """The WebSocket API is used for orders only: without them its host need not be allowed."""
    urls = [endpoints.rest_url, endpoints.ws_url]
    if orders and endpoints.ws_api_url:
        urls.append(endpoints.ws_api_url)
    try:
        for url in urls:
            endpoints.egress.check(url)
    except HostNotAllowedError as error:
        raise ConfigurationError(str(error)) from error
