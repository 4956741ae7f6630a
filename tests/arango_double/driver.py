"""
python-arango without retries of its own: one call is one request.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from arango.client import ArangoClient
from arango.database import StandardDatabase
from arango.http import DefaultHTTPClient, HTTPClient
from arango.response import Response
from requests import Session
from requests.adapters import HTTPAdapter

CONNECT_SECONDS = 2.0
READ_SECONDS = 10.0


class OneRequestClient(DefaultHTTPClient):
    """
    Neither urllib3 nor the environment's proxies come between a call and its request.

    Attributes:
        last_response: With status and headers, which python-arango's results do not show.
    """

    def __init__(self, read_seconds: float = READ_SECONDS) -> None:
        super().__init__()
        self.last_response: Response | None = None
        self._read_seconds = read_seconds

    def create_session(self, host: str) -> Session:  # noqa: ARG002  # python-arango's signature
        """
        A session that sends each request once.
        """
        session = Session()
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=0, pool_block=True))
        return session

    def send_request(  # noqa: PLR0917  # python-arango's signature
        self,
        session: Session,
        method: str,
        url: str,
        headers: MutableMapping[str, str] | None = None,
        params: MutableMapping[str, str] | None = None,
        data: Any = None,
        auth: tuple[str, str] | None = None,
    ) -> Response:
        """
        Send it, once.
        """
        reply = session.request(
            method,
            url,
            params=params,
            data=data,
            headers=headers,
            auth=auth,
            timeout=(CONNECT_SECONDS, self._read_seconds),
        )
        self.last_response = Response(
            method, reply.url, reply.headers, reply.status_code, reply.reason, reply.text
        )
        return self.last_response


@contextmanager
def connected(
    hosts: str | Sequence[str],
    database: str = "_system",
    http_client: HTTPClient | None = None,
    tries: int | None = 1,
    **options: Any,
) -> Iterator[StandardDatabase]:
    """
    A database through python-arango; its connections are closed at the end.

    Args:
        http_client: None is a OneRequestClient.

        tries: How often python-arango sends what met a broken connection; None is its own default.

        options: Of `ArangoClient.db`.
    """
    client = ArangoClient(
        hosts, resolver_max_tries=tries, http_client=http_client or OneRequestClient()
    )
    try:
        yield client.db(database, **options)
    finally:
        client.close()
