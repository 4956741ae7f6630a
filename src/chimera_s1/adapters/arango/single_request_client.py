"""HTTP client for python-arango that sends each request once.

The driver's own client repeats requests, writes included, without telling the caller. Here only
`retrying_requests` retries, where the meaning of a request is known.
"""

import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, MutableMapping
from typing import Any

from arango.http import DefaultHTTPClient
from arango.response import Response
from requests import PreparedRequest, Session
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import MaxRetryError, NewConnectionError

from chimera_s1.adapters.arango.errors import ArangoRequestError, NoReplyError, NotSentError


class SingleRequestClient(DefaultHTTPClient):
    """No retries of urllib3, no redirects, no proxies or passwords from the environment. Used from
    several threads. The password is read for each request, because it may change.
    """

    def __init__(
        self, read_password: Callable[[], str], *, max_connections: int, connect_timeout_s: float
    ) -> None:
        super().__init__(request_timeout=connect_timeout_s, retry_attempts=0)
        self._read_password = read_password
        self._max_connections = max_connections
        self._connect_timeout_s = connect_timeout_s
        self._thread_timeout = threading.local()

    def set_read_timeout(self, timeout_s: float) -> None:
        """For the next requests of the calling thread."""
        self._thread_timeout.read_s = timeout_s

    def create_session(self, host: str) -> Session:  # noqa: ARG002  # python-arango's signature
        session = Session()
        session.trust_env = False
        # The system's certificates, as everywhere else in the service, not those of certifi.
        session.verify = ssl.get_default_verify_paths().cafile or True
        adapter = HTTPAdapter(
            pool_connections=1, pool_maxsize=self._max_connections, max_retries=0, pool_block=True
        )
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def send_request(  # noqa: PLR0917  # python-arango's signature
        self,
        session: Session,
        method: str,
        url: str,
        headers: MutableMapping[str, str] | None = None,
        params: MutableMapping[str, str] | None = None,
        data: Any = None,  # noqa: ANN401  # python-arango's signature
        auth: tuple[str, str] | None = None,
    ) -> Response:
        """Raises: NotSentError, NoReplyError: There is no reply."""
        outcome = self._send(session, method, url, headers, params, data, auth)
        # Raised outside the except block, so that the error's context has no request: its headers
        # hold the password.
        if isinstance(outcome, ArangoRequestError):
            raise outcome
        return outcome

    def _send(  # noqa: PLR0917  # as above
        self,
        session: Session,
        method: str,
        url: str,
        headers: MutableMapping[str, str] | None,
        params: MutableMapping[str, str] | None,
        data: str | None,
        auth: tuple[str, str] | None,
    ) -> Response | ArangoRequestError:
        read_s: float = self._thread_timeout.read_s
        try:
            reply = session.request(
                method,
                url,
                params=params,
                data=None if data is None else data.encode(),
                headers=headers,
                auth=None if auth is None else _Utf8BasicAuth(auth[0], self._read_password()),
                timeout=(min(self._connect_timeout_s, read_s), read_s),
                allow_redirects=False,
            )
        except RequestException as error:
            return _translate_error(error)
        text = reply.content.decode(errors="replace")
        return Response(method, reply.url, reply.headers, reply.status_code, reply.reason, text)


class _Utf8BasicAuth(AuthBase):
    """Encodes user and password as UTF-8; requests uses Latin-1."""

    def __init__(self, user: str, password: str) -> None:
        self._credentials = b64encode(f"{user}:{password}".encode()).decode()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["authorization"] = f"Basic {self._credentials}"
        return request


def _translate_error(error: RequestException) -> ArangoRequestError:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(error, ConnectTimeout):
        return NotSentError("is unreachable: connect timeout")
    if isinstance(reason, NewConnectionError):
        return NotSentError(f"is unreachable: {str(reason).rpartition(': ')[2]}")
    return NoReplyError(f"sent no reply ({type(reason or error).__name__})")
