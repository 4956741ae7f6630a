"""Tokens in a JSON file of their owner: hashes, never a token.

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

from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.domain.access.tokens import TokenRecord
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.ports.clock import Clock

RECHECK_INTERVAL_MS = 1_000
_OWNER_ONLY = 0o600
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_CREATE_ADVICE = "chimera-s1 tokens create makes one"

_log = logging.getLogger(__name__)

_Fingerprint = tuple[int, int, int] | None


class _TokenFile(Struct, frozen=True, forbid_unknown_fields=True):
    tokens: tuple[TokenRecord, ...]


class FileTokenStore:
    """Implements `domain.ports.token_store.TokenStore`; a file that changes is read again.

    A new version that cannot be read changes nothing, and is logged once: half a file must
    neither lock everybody out nor give back what was revoked.
    """

    def __init__(self, path: Path, clock: Clock, *, allow_missing: bool = False) -> None:
        """Args:
            path: The file.

            clock: Says when to look whether it has changed, at most once a second.

            allow_missing: One that is not there has no tokens; `put` makes it.

        Raises:
            ConfigurationError: It cannot be read.
        """
        self._path = path
        self._clock = clock
        self._allow_missing = allow_missing
        self._loaded_fingerprint = _fingerprint(path)
        self._checked_ms = clock.monotonic_ms()
        self._records = {record.kid: record for record in self._read()}

    def find(self, kid: str) -> TokenRecord | None:
        """The token *kid*, or None; as the file said at most a second ago."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._checked_ms >= RECHECK_INTERVAL_MS:
            self._checked_ms = now_ms
            self._reload_if_changed()
        return self._records.get(kid)

    def records(self) -> tuple[TokenRecord, ...]:
        """Every token of the file as it is now, oldest first.

        Raises:
            ConfigurationError: It cannot be read.
        """
        return self._read()

    def put(self, record: TokenRecord) -> None:
        """Write the file with *record*, whole or not at all.

        Raises:
            ConfigurationError: It cannot be read, or not be written.
        """
        with _lock_directory(self._path):
            kept = {each.kid: each for each in self._read()}
            kept[record.kid] = record
            write_token_file(self._path, tuple(kept.values()))
        self._records, self._loaded_fingerprint = kept, None

    def _reload_if_changed(self) -> None:
        seen = _fingerprint(self._path)
        if seen == self._loaded_fingerprint:
            return
        self._loaded_fingerprint = seen  # a bad version is told once, not every second
        try:
            self._records = {record.kid: record for record in self._read()}
        except ConfigurationError as error:
            _log.error("%s; the tokens known before stay in force", error)
        else:
            _log.info("%s has changed: %d tokens", self._path, len(self._records))

    def _read(self) -> tuple[TokenRecord, ...]:
        if self._allow_missing and not self._path.exists():
            return ()
        return read_token_file(self._path)


def read_token_file(path: Path) -> tuple[TokenRecord, ...]:
    """The tokens in *path*.

    Raises:
        ConfigurationError: It cannot be read, or is damaged; nothing of its text is quoted.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except FileNotFoundError:
        raise ConfigurationError(f"the token file {path} is not there; {_CREATE_ADVICE}") from None
    except OSError as error:
        raise ConfigurationError(
            f"the token file {path} cannot be read: {error.strerror}"
        ) from error
    if mode & _GROUP_AND_OTHERS:
        _log.warning("others may read or write the token file %s; chmod 600 %s", path, path)
    return _decode(path, content)


def write_token_file(path: Path, records: Sequence[TokenRecord]) -> None:
    """Write *records* to *path*, whole or not at all, for its owner only.

    Raises:
        ConfigurationError: It cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(_TokenFile(tuple(records))))
    try:
        with replacing(path) as file:
            file.write(text + b"\n")
    except OSError as error:
        raise ConfigurationError(
            f"the token file {path} cannot be written: {error.strerror}; name another"
        ) from error


def _decode(path: Path, content: bytes) -> tuple[TokenRecord, ...]:
    try:
        tokens = msgspec.json.decode(content, type=_TokenFile).tokens
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            f"the token file {path} is damaged: {error}; put a copy back, or move it away and "
            "make new tokens with chimera-s1 tokens create"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the token file {path} is damaged: no UTF-8") from error
    kids = [record.kid for record in tokens]
    if twice := sorted({kid for kid in kids if kids.count(kid) > 1}):
        raise ConfigurationError(
            f"the token file {path} has {', '.join(twice)} more than once; remove all but one"
        )
    return tokens


@contextmanager
def _lock_directory(path: Path) -> Iterator[None]:
    """Two commands at once must not write over each other's token; the directory is
    what they lock.
    """
    try:
        directory = os.open(path.absolute().parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigurationError(
            f"the token file {path} cannot be made: {error.strerror}; make its directory first, "
            "or name another"
        ) from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _fingerprint(path: Path) -> _Fingerprint:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
