"""The service that a command calls, and the token it presents there."""

from collections.abc import Mapping

from msgspec import Struct

from chimera_s1.app.cli.shared.base_url import parse_base_url
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.state_files import read_demo_state
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import ConfigurationError


class ServiceAccess(Struct, frozen=True):
    url: str
    token: str

    def __repr__(self) -> str:
        return f"ServiceAccess(url={self.url!r}, token=***)"


def find_service(
    url: str | None,
    environ: Mapping[str, str],
    settings: Settings,
    scope: str = Scope.TREASURY_TRANSFER,
) -> ServiceAccess:
    """The service at *url*, else at S1_URL, else the demo running in the state directory; *scope*
    is what the command needs, for the error.

    Raises:
        ConfigurationError: There is no service or no token, or one of them is malformed.
    """
    url, token = url or environ.get("S1_URL", ""), environ.get("S1_TOKEN", "").strip()
    if not url or not token:
        demo = read_demo_state(settings.state_dir)
        if demo is None and not url:
            raise ConfigurationError(
                "no service to call: set S1_URL and S1_TOKEN, or name one with --url; no demo runs "
                f"in {settings.state_dir}"
            )
        if demo is not None:
            url = url or demo.url
            # A demo's token is sent to that demo only.
            token = token or (demo.token if _base(url) == _base(demo.url) else "")
    if not token:
        raise ConfigurationError(
            f"no token for {_base(url)}: set S1_TOKEN to a token with the scope {scope}; "
            "chimera-s1 tokens create makes one"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError("S1_TOKEN is malformed: tokens are printable ASCII without spaces")
    return ServiceAccess(_base(url), token)


def _base(url: str) -> str:
    return parse_base_url(url, "the service's address")
