"""Addresses of HTTP servers, as options and variables give them."""

from chimera_s1.domain.errors import ConfigurationError
from chimera_s1_client import http_session
from chimera_s1_client.errors import InvalidArgumentError


def parse_base_url(text: str, label: str) -> str:
    """An `http` or `https` URL without its trailing slash.

    Raises:
        ConfigurationError: It is something else. The text names *label* and not the URL, which may
            hold a password.
    """
    try:
        return http_session.parse_base_url(text)
    except InvalidArgumentError as error:
        raise ConfigurationError(f"{label} is {error}") from error
