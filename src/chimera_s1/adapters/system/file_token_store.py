"""Access tokens in a JSON file: hashes, never the tokens themselves.

{"tokens": [{"kid": "5f0c9a31", "sha256": "...", "actor": "treasury-bot", "scopes": ["read"],
"created_at": 1772514460893, "not_after": 1775106460893}]}
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from chimera_s1.adapters.owned_file import fingerprint, read_owned
from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.domain.access.tokens import TokenRecord
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.clock import Clock

RECHECK_INTERVAL_MS = 1_000
TOKEN_FILE_BYTES_MAX = 4 << 20

_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_log = logging.getLogger(__name__)


class TokenFileReport(Struct, frozen=True):
    """Attributes: problem: Why the file of now is not used; empty where it is."""

    tokens: int
    problem: str

    @property
    def level(self) -> Level:
        return Level.ORANGE if self.problem else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0

    @property
    def sentence(self) -> str:
        if self.problem:
            return f"{self.problem}; the tokens loaded before stay in use ({self.tokens})"
        return f"tokens loaded: {self.tokens}"


class _TokenFile(Struct, frozen=True, forbid_unknown_fields=True):
    tokens: tuple[TokenRecord, ...]


class FileTokenStore:
    """Implements `domain.ports.token_store.TokenStore`; reloads the file when it changes.

    If the new version cannot be read, or others may have written it, the loaded tokens stay valid:
    half a file must neither lock all users out nor restore a revoked token.
    """

    def __init__(self, path: Path, clock: Clock, *, allow_missing: bool = False) -> None:
        """Args:
            allow_missing: Treat a missing file as empty; `put` creates it.

        Raises:
            ConfigurationError: The file cannot be read, or others can change it.
        """
        self._problem = ""
        self._path = path
        self._clock = clock
        self._allow_missing = allow_missing
        self._loaded_fingerprint = fingerprint(path)
        self._checked_ms = clock.monotonic_ms()
        self._records = {record.kid: record for record in self._read()}

    def find(self, kid: str) -> TokenRecord | None:
        """At most one second behind the file."""
        self._reload_when_due()
        return self._records.get(kid)

    def report(self) -> TokenFileReport:
        """For `/health`."""
        self._reload_when_due()
        return TokenFileReport(len(self._records), self._problem)

    def records(self) -> tuple[TokenRecord, ...]:
        """Read from the file now; raises `ConfigurationError` if that fails."""
        return self._read()

    def put(self, record: TokenRecord) -> None:
        """Raises `ConfigurationError` if the file cannot be read or written."""
        with _lock_directory(self._path):
            kept = {each.kid: each for each in self._read()}
            kept[record.kid] = record
            write_token_file(self._path, tuple(kept.values()))
        self._records, self._loaded_fingerprint = kept, None

    def _reload_when_due(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._checked_ms >= RECHECK_INTERVAL_MS:
            self._checked_ms = now_ms
            self._reload_if_changed()

    def _reload_if_changed(self) -> None:
        seen = fingerprint(self._path)
        if seen == self._loaded_fingerprint:
            return
        self._loaded_fingerprint = seen  # log a bad version once, not every second
        try:
            self._records = {record.kid: record for record in self._read()}
        except ConfigurationError as error:
            self._problem = str(error)
            _log.error("%s; keeping the previously loaded tokens", error)
        else:
            self._problem = ""
            _log.info("reloaded %s: %d tokens", self._path, len(self._records))

    def _read(self) -> tuple[TokenRecord, ...]:
        if self._allow_missing and not self._path.exists():
            return ()
        return read_token_file(self._path)


def read_token_file(path: Path) -> tuple[TokenRecord, ...]:
    """Raises `ConfigurationError` if the file cannot be read, is damaged, or others can change it,
    without quoting it.
    """
    try:
        content, mode = read_owned(path, TOKEN_FILE_BYTES_MAX)
    except FileNotFoundError:
        raise ConfigurationError(
            f"token file {path} does not exist; create it with chimera-s1 tokens create"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"token file {path} cannot be read: {error.strerror}") from error
    except InvalidValueError as error:
        raise ConfigurationError(
            f"token file {error}, then check chimera-s1 tokens list for tokens that others added"
        ) from error
    if mode & _GROUP_AND_OTHERS:
        _log.warning("token file %s is readable by other users; run chmod 600 %s", path, path)
    return _decode(path, content)


def write_token_file(path: Path, records: Sequence[TokenRecord]) -> None:
    """Replace the file atomically; raises `ConfigurationError` if it cannot be written."""
    text = msgspec.json.format(msgspec.json.encode(_TokenFile(tuple(records))))
    try:
        with replacing(path) as file:
            file.write(text + b"\n")
    except OSError as error:
        raise ConfigurationError(
            f"token file {path} cannot be written: {error.strerror}; choose another path"
        ) from error


def _decode(path: Path, content: bytes) -> tuple[TokenRecord, ...]:
    try:
        tokens = msgspec.json.decode(content, type=_TokenFile).tokens
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            f"token file {path} is damaged: {error}; restore a backup, or move it away and "
            "create new tokens with chimera-s1 tokens create"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"token file {path} is damaged: not UTF-8") from error
    kids = [record.kid for record in tokens]
    if duplicates := sorted({kid for kid in kids if kids.count(kid) > 1}):
        raise ConfigurationError(
            f"token file {path} has duplicate key ids {', '.join(duplicates)}; "
            "remove all but one of each"
        )
    return tokens


@contextmanager
def _lock_directory(path: Path) -> Iterator[None]:
    """Serialises commands, so that none loses another's token. The file itself is replaced."""
    try:
        directory = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigurationError(
            f"token file {path} cannot be created: {error.strerror}; "
            "create its directory first, or choose another path"
        ) from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
