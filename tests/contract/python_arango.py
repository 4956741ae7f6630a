"""python-arango as an independent client of the double: one call sends one request."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from arango.client import ArangoClient
from arango.database import StandardDatabase
from arango.http import DefaultHTTPClient
from arango.response import Response
from requests import Session
from requests.adapters import HTTPAdapter

CONNECT_S = 2.0
READ_S = 10.0


class OneRequestClient(DefaultHTTPClient):
    """No retries, and no proxies from the environment.

    Attributes:
        last_response: With the status and headers, which python-arango's results do not have.
    """

    def __init__(self, read_s: float = READ_S) -> None:
        super().__init__()
        self.last_response: Response | None = None
        self._read_s = read_s

    def create_session(self, host: str) -> Session:  # noqa: ARG002  # python-arango's signature
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
        reply = session.request(
            method,
            url,
            params=params,
            data=data,
            headers=headers,
            auth=auth,
            timeout=(CONNECT_S, self._read_s),
        )
        self.last_response = Response(
            method, reply.url, reply.headers, reply.status_code, reply.reason, reply.text
        )
        return self.last_response


@contextmanager
def connected(
    url: str,
    database: str = "_system",
    http_client: OneRequestClient | None = None,
    **options: Any,
) -> Iterator[StandardDatabase]:
    """A database, whose connections are closed at the end; *options* as in `ArangoClient.db`."""
    client = ArangoClient(url, resolver_max_tries=1, http_client=http_client or OneRequestClient())
    try:
        yield client.db(database, **options)
    finally:
        client.close()
