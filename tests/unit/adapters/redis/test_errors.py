"""Which replies are about the entry itself, and which about the state of the server."""

import pytest
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MaxConnectionsError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from chimera_s1.adapters.redis.errors import translated
from chimera_s1.domain.errors import (
    ConfigurationError,
    PublisherRefusedError,
    PublisherUnavailableError,
)


@pytest.mark.parametrize(
    "text",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
    ],
)
def test_a_reply_about_the_entry_is_a_refusal(text: str) -> None:
    error = translated(ResponseError(text), "Redis 10.0.0.5:6379")

    assert type(error) is PublisherRefusedError
    assert str(error) == f"Redis 10.0.0.5:6379: {text}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OutOfMemoryError("OOM command not allowed"), PublisherUnavailableError),
        (ReadOnlyError("READONLY You can't write"), PublisherUnavailableError),
        (ClusterDownError("CLUSTERDOWN The cluster is down"), PublisherUnavailableError),
        (ResponseError("NOREPLICAS Not enough good replicas"), PublisherUnavailableError),
        (ResponseError("MISCONF Redis is configured to save"), PublisherUnavailableError),
        (ResponseError("LOADING Redis is loading the dataset"), PublisherUnavailableError),
        (RedisConnectionError("ERR max number of clients reached"), PublisherUnavailableError),
        (MaxConnectionsError("ERR too many"), PublisherUnavailableError),
        (TimeoutError(), PublisherUnavailableError),
        (AuthenticationError("WRONGPASS invalid"), ConfigurationError),
    ],
)
def test_a_reply_about_the_server_is_none(error: Exception, kind: type[Exception]) -> None:
    """It changes by itself, so the entry waits."""
    assert type(translated(error, "Redis")) is kind
