"""The transfers requested from this machine, a file each, written before the first request.

Sending again what a file holds is the same transfer, and cannot move money twice.
"""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from chimera_s1.adapters.regular_file import SMALL_FILE_BYTES_MAX, read_regular
from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.limits import Wallet

_OWNER_ONLY = 0o700


class TransferBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /xchg/treasury/transfer`; the amount is exact decimal text."""

    transfer_id: TransferId
    source: Wallet = field(name="from")
    target: Wallet = field(name="to")
    amount_usdt: str
    reason: str


class SavedTransfer(Struct, frozen=True, kw_only=True):
    """One file.

    Attributes:
        url: Of the service.
        saved_at: First or latest run without --resume, local epoch ms.
        attempts: Requests begun, the next one included.
        result: Final, OK or FAIL; empty until then.
    """

    url: str
    body: TransferBody
    saved_at: int = field(name="kept_at")
    attempts: int = field(name="asked", default=1)
    result: str = ""
    message: str = ""

    @property
    def transfer_id(self) -> TransferId:
        return self.body.transfer_id


class SavedTransfers:
    """The files below *state_dir*."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "transfers"

    def path(self, transfer_id: TransferId) -> Path:
        return self._directory / f"{transfer_id}.json"

    def save(self, saved: SavedTransfer) -> None:
        """Write the file, whole or not at all; it is on disk when this returns.

        Raises:
            ConfigurationError: It cannot be written.
        """
        path = self.path(saved.transfer_id)
        try:
            self._directory.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(msgspec.json.format(msgspec.json.encode(saved)) + b"\n")
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {path}: {error.strerror}; a transfer that cannot be saved is not "
                "sent: name another directory with --state-dir"
            ) from error

    def find(self, transfer_id: TransferId) -> SavedTransfer | None:
        """The saved transfer, or None without a file.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        path = self.path(transfer_id)
        return _read(path) if path.exists() else None

    def unfinished(self) -> tuple[SavedTransfer, ...]:
        """Those without a final result, oldest first.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        found = map(_read, sorted(self._directory.glob("*.json")))
        return tuple(sorted((s for s in found if not s.result), key=lambda saved: saved.saved_at))


def _read(path: Path) -> SavedTransfer:
    try:
        return msgspec.json.decode(read_regular(path, SMALL_FILE_BYTES_MAX), type=SavedTransfer)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"cannot read {path} ({error}); look the transfer up with chimera-s1 ledger show, then "
            "remove the file"
        ) from error
