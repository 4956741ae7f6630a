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

from chimera_s1.adapters.arango.errors import ArangoFault, NoReplyError, NotSentError


class SingleRequestClient(DefaultHTTPClient):
    """Neither urllib3, nor redirects, nor the environment's proxies and passwords come between a
    call and its one request. Used from several threads.
    """

    def __init__(self, *, connections: int, connect_s: float) -> None:
        """Args:
        connections: At most so many at once; further calls wait for one.

        connect_s: How long a connection may take, s.
        """
        super().__init__(request_timeout=connect_s, retry_attempts=0)
        self._connections = connections
        self._connect_s = connect_s
        self._patience = threading.local()

    def wait_at_most(self, wait_s: float) -> None:
        """Of this thread's next requests: how long the server may be silent, s."""
        self._patience.wait_s = wait_s

    def create_session(self, host: str) -> Session:  # noqa: ARG002  # python-arango's signature
        """A session for one coordinator."""
        session = Session()
        session.trust_env = False
        # The system's certificates, as for everything else here, and not those of a package.
        session.verify = ssl.get_default_verify_paths().cafile or True
        adapter = HTTPAdapter(
            pool_connections=1, pool_maxsize=self._connections, max_retries=0, pool_block=True
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
        if isinstance(outcome, ArangoFault):
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
    ) -> Response | ArangoFault:
        wait_s: float = self._patience.wait_s
        try:
            reply = session.request(
                method,
                url,
                params=params,
                data=None if data is None else data.encode(),
                headers=headers,
                auth=None if auth is None else _Basic(*auth),
                timeout=(min(self._connect_s, wait_s), wait_s),
                allow_redirects=False,
            )
        except RequestException as error:
            return _fault_of(error)
        text = reply.content.decode(errors="replace")
        return Response(method, reply.url, reply.headers, reply.status_code, reply.reason, text)


class _Basic(AuthBase):
    """Users and passwords in UTF-8; requests would take Latin-1."""

    def __init__(self, user: str, password: str) -> None:
        self._credentials = b64encode(f"{user}:{password}".encode()).decode()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["authorization"] = f"Basic {self._credentials}"
        return request


def _fault_of(error: RequestException) -> ArangoFault:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(error, ConnectTimeout):
        return NotSentError("cannot be reached: no connection in time")
    if isinstance(reason, NewConnectionError):
        return NotSentError(f"cannot be reached: {str(reason).rpartition(': ')[2]}")
    return NoReplyError(f"gave no answer ({type(reason or error).__name__})")
