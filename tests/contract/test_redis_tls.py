"""Redis over TLS: both clients, with a client certificate, and what each failure says."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from cryptography import x509

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.node_credentials import NO_CREDENTIALS, NodeCredentials
from chimera_s1.adapters.redis.publisher import node_client
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.redis.tls import TlsFiles, tls_context
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.stream_store_location import StreamStoreLocation, connected
from chimera_s1.app.redis_client import redis_client
from chimera_s1.app.service_settings import load_settings
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.market.conflation import EVERY_UPDATE
from tests.contract.certificates import Authority, Pair
from tests.contract.quote_stores import fresh_instruments, make_quote, problem_of
from tests.contract.tls_redis import TlsRedis, tls_redis
from tests.unit.adapters.redis.publisher.test_node_quote_publisher import node_publisher

ELSEWHERE = x509.DNSName("redis.example")


class Site:
    """A node that requires client certificates, and the files of a client."""

    def __init__(self, redis: TlsRedis, ca: Authority, server: Pair, stranger: Authority) -> None:
        self.redis = redis
        self.ca = ca
        self.server = server
        self.stranger = stranger
        self.files = self.certified(ca.issue("client"))

    def certified(self, pair: Pair) -> TlsFiles:
        return TlsFiles(self.ca.file, pair.certificate, pair.key)


@pytest.fixture(scope="module")
def shared_site(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("tls")
    ca, stranger = Authority(directory, "ca"), Authority(directory, "stranger")
    server = ca.issue("server")
    opening = tls_redis(redis_binary, directory / "redis", ca.file, server)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opening) as redis:
        yield Site(redis, ca, server, stranger)


@pytest.fixture
async def site(shared_site: Site) -> Site:
    """With the certificate that the client expects, as others may have left another one."""
    await shared_site.redis.present(shared_site.server)
    return shared_site


async def test_both_clients_write_and_read_with_a_client_certificate(site: Site) -> None:
    context = tls_context(site.files)
    async with connect_cluster([site.redis.address], tls=context) as client:
        assert client.credentials.tls is context
        official = OfficialQuotePublisher(client, maxlen=10, window=EVERY_UPDATE)
        first, second = map(make_quote, fresh_instruments(2))
        assert (await official.publish([first])).published == 1
        async with node_publisher(client) as publisher:
            assert (await publisher.publish([second])).published == 1
            assert await problem_of(publisher) == ""
        instruments = await RedisQuoteReader(client).instruments()

    assert set(instruments) >= {first.instrument, second.instrument}


async def test_service_and_commands_connect_with_the_files_of_the_settings(site: Site) -> None:
    """The service by `redis_client`, and the commands by `connected`."""
    settings = load_settings(
        {
            "S1_REDIS_ADDRESSES": str(site.redis.address),
            "S1_REDIS_TLS": "true",
            "S1_REDIS_TLS_CA_FILE": str(site.files.ca),
            "S1_REDIS_TLS_CERT_FILE": str(site.files.certificate),
            "S1_REDIS_TLS_KEY_FILE": str(site.files.key),
            "S1_REDIS_TLS_CHECK_HOSTNAME": "false",
        }
    )
    await site.redis.present(site.ca.issue("elsewhere", host=ELSEWHERE))
    location = StreamStoreLocation(settings.redis_addresses, "S1_REDIS_ADDRESSES")
    async with (
        redis_client(settings, settings.redis_addresses) as serving,
        connected(location, settings) as reading,
    ):
        assert [bool(client.slot_owners()) for client in (serving, reading)] == [True, True]


async def test_without_the_check_of_names_a_certificate_for_another_name_is_enough(
    site: Site,
) -> None:
    await site.redis.present(site.ca.issue("elsewhere", host=ELSEWHERE))
    files = TlsFiles(site.files.ca, site.files.certificate, site.files.key, check_hostname=False)
    async with connect_cluster([site.redis.address], tls=tls_context(files)) as client:
        publisher = OfficialQuotePublisher(client, maxlen=10, window=EVERY_UPDATE)
        assert await problem_of(publisher) == ""


NOT_CERTIFIED = "|S1_REDIS_TLS_CERT_FILE: does the server require a client certificate, or refuse"
"""In place of the advice, where the reset of the connection overtakes the server's alert."""

Failure = Callable[[Site], tuple[Pair, TlsFiles]]
"""What the server presents, and the files of the client."""

FAILURES: dict[str, tuple[Failure, str]] = {
    "unknown CA": (
        lambda site: (
            site.server,
            TlsFiles(site.stranger.file, site.files.certificate, site.files.key),
        ),
        "S1_REDIS_TLS_CA_FILE",
    ),
    "CA of the system": (
        lambda site: (site.server, TlsFiles(None, site.files.certificate, site.files.key)),
        "S1_REDIS_TLS_CA_FILE",
    ),
    "expired": (
        lambda site: (site.ca.issue("expired", expired=True), site.files),
        "certificate has expired.*renew it on the server",
    ),
    "wrong name": (
        lambda site: (site.ca.issue("elsewhere", host=ELSEWHERE), site.files),
        "not valid for '127.0.0.1'.*cluster-announce-hostname",
    ),
    "no client certificate": (
        lambda site: (site.server, TlsFiles(site.ca.file)),
        "requires a client certificate; set S1_REDIS_TLS_CERT_FILE and S1_REDIS_TLS_KEY_FILE"
        + NOT_CERTIFIED,
    ),
    "client certificate of a stranger": (
        lambda site: (site.server, site.certified(site.stranger.issue("intruder"))),
        "refuses this client's certificate.*does not know its CA" + NOT_CERTIFIED,
    ),
    "expired client certificate": (
        lambda site: (site.server, site.certified(site.ca.issue("late", expired=True))),
        "refuses this client's certificate.*it has expired" + NOT_CERTIFIED,
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_each_failure_says_what_to_do(site: Site, failure: str) -> None:
    """At the start and in a running service, with the node's address."""
    arrange, advice = FAILURES[failure]
    server, files = arrange(site)
    await site.redis.present(server)
    running = await text_of_node_client(site.redis.address, NodeCredentials(tls=tls_context(files)))
    at_start = await text_at_start(site.redis.address, NodeCredentials(tls=tls_context(files)))

    for text in (at_start, running):
        assert str(site.redis.address) in text
        assert re.search(advice, text)


async def test_a_tls_port_without_tls_is_named(site: Site) -> None:
    question = "S1_REDIS_TLS=false: is this a TLS port?"
    at_start = await text_at_start(site.redis.address, NO_CREDENTIALS)
    assert str(site.redis.address) in at_start
    assert question in at_start
    assert question in await text_of_node_client(site.redis.address, NO_CREDENTIALS)


async def test_a_plain_port_with_tls_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may wait for the end of a line, or answer in plain text: both are named."""
    monkeypatch.setattr(node_client, "_CONNECT_TIMEOUT_S", 0.2)
    plain = site.redis.node.address
    credentials = NodeCredentials(tls=tls_context(site.files))
    texts = (
        await text_at_start(plain, credentials),
        await text_of_node_client(plain, credentials),
    )

    for text in texts:
        assert str(plain) in text
        assert "is this a TLS port?" in text or "name a TLS port" in text


async def text_of_node_client(address: RedisAddress, credentials: NodeCredentials) -> str:
    """Why our own client of the node cannot connect, as in health and log."""
    changed = anyio.Event()
    client = node_client.NodeClient(
        address,
        credentials,
        clock=SystemClock(),
        draw=lambda: 0.5,
        on_change=lambda _: changed.set(),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run)
        await changed.wait()
        tasks.cancel_scope.cancel()
    return client.unavailable_reason


async def text_at_start(address: RedisAddress, credentials: NodeCredentials) -> str:
    """Why a command cannot connect."""
    try:
        async with connect_cluster([address], tls=credentials.tls, socket_timeout_s=0.2) as client:
            with client.translate_errors():
                await client.refresh()
    except (ConfigurationError, PublisherUnavailableError) as error:
        return str(error)
    return ""
