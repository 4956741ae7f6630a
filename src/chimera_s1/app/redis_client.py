"""Connects to Redis with the credentials and certificates of the settings."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.tls import TlsFiles, tls_context
from chimera_s1.app.settings.core import CoreSettings


def redis_client(
    settings: CoreSettings, addresses: Sequence[RedisAddress]
) -> AbstractAsyncContextManager[ClusterClient]:
    """For the service and all commands; closed at the end of the block.

    Raises:
        ConfigurationError: A file of S1_REDIS_TLS_* cannot be used. In the block: Redis refuses
            credentials or certificates, or is not a cluster.
    """
    files = TlsFiles(
        ca=settings.redis_tls_ca_file,
        certificate=settings.redis_tls_cert_file,
        key=settings.redis_tls_key_file,
        check_hostname=settings.redis_tls_check_hostname,
    )
    return connect_cluster(
        addresses,
        user=settings.redis_user or "",
        read_password=settings.secret("redis_pass"),
        tls=tls_context(files) if settings.redis_tls else None,
    )
