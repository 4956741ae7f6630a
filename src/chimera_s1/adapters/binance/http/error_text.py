"""The text of a failed request."""

import os
import socket
import ssl

import httpx2
import python_socks

from chimera_s1.adapters.binance.egress import Egress
from chimera_s1.adapters.binance.http.reply_classification import sanitize

_CONNECTING_ERRORS = (
    httpx2.ProxyError,
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    python_socks.ProxyError,
    python_socks.ProxyConnectionError,
    python_socks.ProxyTimeoutError,
)


def error_text(error: Exception, egress: Egress) -> str:
    """With the system's own word, which httpx2 leaves to the causes: `Connection refused`."""
    text = _cause_text(error)
    return egress.proxy_failure(text) if egress.proxy and _is_of_proxy(error) else text


def _is_of_proxy(error: BaseException | None) -> bool:
    """Through a proxy, only it is connected to; TLS errors are the exchange's."""
    if not isinstance(error, _CONNECTING_ERRORS):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return False
        cause = cause.__cause__ or cause.__context__
    return True


def _cause_text(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            words = _os_error_text(cause)
            return sanitize(text if words in text else f"{text} ({words})")
        cause = cause.__cause__ or cause.__context__
    return sanitize(text)


def _os_error_text(error: OSError) -> str:
    if isinstance(error, ssl.SSLError | socket.gaierror):
        return error.strerror or str(error)  # its numbers are not errnos
    return os.strerror(error.errno or 0)
