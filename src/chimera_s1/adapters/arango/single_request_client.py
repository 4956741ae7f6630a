"""What carries python-arango's requests: each is sent once.

The driver's own client repeats requests, also writes, behind the back of whoever must know that
there may be two; here every repetition is decided where its meaning is known.
"""

import ssl
import threading
from base64 import b64encode
from collections.abc import MutableMapping
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
    """Neither urllib3, nor redirects, nor the environment's proxies and passwords come between a
    call and its one request. Used from several threads.
    """

    def __init__(self, *, max_connections: int, connect_timeout_s: float) -> None:
        """Args:
        max_connections: At most so many at once; further calls wait for one.

        connect_timeout_s: How long a connection may take, s.
        """
        super().__init__(request_timeout=connect_timeout_s, retry_attempts=0)
        self._max_connections = max_connections
        self._connect_timeout_s = connect_timeout_s
        self._thread_timeout = threading.local()

    def set_read_timeout(self, timeout_s: float) -> None:
        """Of this thread's next requests: how long the server may be silent, s."""
        self._thread_timeout.wait_s = timeout_s

    def create_session(self, host: str) -> Session:  # noqa: ARG002  # python-arango's signature
        """A session for one coordinator."""
        session = Session()
        session.trust_env = False
        # The system's certificates, as for everything else here, and not those of a package.
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
        """Send it, once.

        Raises:
            NotSentError, NoReplyError: There is no answer.
        """
        outcome = self._send(session, method, url, headers, params, data, auth)
        # Raised here, so that no error drags a request along, which carries the password.
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
        wait_s: float = self._thread_timeout.wait_s
        try:
            reply = session.request(
                method,
                url,
                params=params,
                data=None if data is None else data.encode(),
                headers=headers,
                auth=None if auth is None else _Utf8BasicAuth(*auth),
                timeout=(min(self._connect_timeout_s, wait_s), wait_s),
                allow_redirects=False,
            )
        except RequestException as error:
            return _translate_error(error)
        text = reply.content.decode(errors="replace")
        return Response(method, reply.url, reply.headers, reply.status_code, reply.reason, text)


class _Utf8BasicAuth(AuthBase):
    """Users and passwords in UTF-8; requests would take Latin-1."""

    def __init__(self, user: str, password: str) -> None:
        self._credentials = b64encode(f"{user}:{password}".encode()).decode()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["authorization"] = f"Basic {self._credentials}"
        return request


def _translate_error(error: RequestException) -> ArangoRequestError:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(error, ConnectTimeout):
        return NotSentError("cannot be reached: no connection in time")
    if isinstance(reason, NewConnectionError):
        return NotSentError(f"cannot be reached: {str(reason).rpartition(': ')[2]}")
    return NoReplyError(f"gave no answer ({type(reason or error).__name__})")
