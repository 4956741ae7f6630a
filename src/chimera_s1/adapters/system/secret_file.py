"""A secret in a file of its own, read again when the file changes."""

import logging
from collections.abc import Callable
from pathlib import Path

from chimera_s1.adapters.owned_file import fingerprint, read_owned
from chimera_s1.domain.errors import InvalidValueError

SECRET_BYTES_MAX = 65_536

_log = logging.getLogger(__name__)


class SecretFile:
    """Reads the secret that *path* holds now. A version that cannot be used is logged once, and
    the one before it stays in use.

    Args:
        name: For the log: `S1_REDIS_PASS_FILE`.
    """

    def __init__(self, name: str, path: Path) -> None:
        """Raises `InvalidValueError` if the file cannot be used."""
        self._name = name
        self._path = path
        self._loaded_fingerprint = fingerprint(path)
        self._secret = read_secret(path)
        self.on_change: Callable[[str], None] = _ignore
        """Called with a new secret before it is used."""

    def read(self) -> str:
        seen = fingerprint(self._path)
        if seen != self._loaded_fingerprint:
            self._loaded_fingerprint = seen
            self._reload()
        return self._secret

    def _reload(self) -> None:
        try:
            secret = read_secret(self._path)
        except InvalidValueError as error:
            _log.error("%s: %s; the secret read before stays in use", self._name, error)
            return
        if secret != self._secret:
            self.on_change(secret)
            self._secret = secret
            _log.info("%s: read again, because the file has changed", self._name)

    def __repr__(self) -> str:
        return f"SecretFile({self._name}={self._path})"


def read_secret(path: Path) -> str:
    """The text of a file of one line, without the end of the line.

    Raises:
        InvalidValueError: The file cannot be read, others can change it, or it is not one line.
    """
    try:
        content, _ = read_owned(path, SECRET_BYTES_MAX)
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read: {error.strerror}") from error
    return _one_line(path, content)


def _one_line(path: Path, content: bytes) -> str:
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # The error would quote the secret.
        raise InvalidValueError(f"{path} is not UTF-8 text") from None
    if not text.strip():
        raise InvalidValueError(f"{path} is empty")
    if not text.isprintable():
        raise InvalidValueError(f"{path} has more than one line, or control characters")
    return text


def _ignore(secret: str) -> None:
    """The listener of a file without one."""
