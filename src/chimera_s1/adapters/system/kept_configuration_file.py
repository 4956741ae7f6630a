"""Keeps the last good snapshot of S10 in a file of the state directory."""

from pathlib import Path

import anyio.to_thread
import msgspec
from msgspec import Struct

from chimera_s1.adapters.regular_file import read_regular
from chimera_s1.adapters.system.atomic_file import BY_UMASK, replacing
from chimera_s1.domain.errors import ConfigurationNotKeptError
from chimera_s1.domain.operations.active_configuration import Snapshot

FILE_NAME = "s10-active.json"
_FILE_BYTES_MAX = 16 * 1024 * 1024


class _Kept(Struct, frozen=True):
    """*source* is the S10 it came from: revisions of another one do not compare."""

    source: str
    snapshot: Snapshot


class FileKeptConfiguration:
    """Implements `domain.ports.kept_configuration.KeptConfiguration`.

    Args:
        source: `S1_S10_URL`; a snapshot of another one is ignored.
    """

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source

    async def load(self) -> Snapshot | None:
        """See the port."""
        return await anyio.to_thread.run_sync(self._load)

    async def save(self, snapshot: Snapshot) -> None:
        """See the port."""
        await anyio.to_thread.run_sync(self._save, snapshot)

    def _load(self) -> Snapshot | None:
        try:
            content = read_regular(self._path, _FILE_BYTES_MAX)
            kept = msgspec.json.decode(content, type=_Kept)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationNotKeptError(f"{self._path}: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigurationNotKeptError(
                f"{self._path} is damaged, remove it: {error}"
            ) from error
        return kept.snapshot if kept.source == self._source else None

    def _save(self, snapshot: Snapshot) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path, BY_UMASK) as file:
                file.write(msgspec.json.encode(_Kept(self._source, snapshot)))
        except OSError as error:
            raise ConfigurationNotKeptError(f"{self._path}: {error.strerror}") from error
