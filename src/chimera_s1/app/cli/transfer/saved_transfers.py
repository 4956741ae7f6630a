"""The transfers that this machine has asked for, each in a file of its own, written before it is
sent.

Whoever asks again with what stands in the file asks for the same transfer, and cannot move money
twice.
"""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.limits import Wallet

DIRECTORY = "transfers"
_OWNER_ONLY_DIRECTORY = 0o700


class TransferBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /xchg/treasury/transfer`.

    Attributes:
        amount_usdt: Exact decimal text.
    """

    transfer_id: TransferId
    source: Wallet = field(name="from")
    target: Wallet = field(name="to")
    amount_usdt: str
    reason: str


class SavedTransfer(Struct, frozen=True, kw_only=True):
    """A transfer that was asked for, or is about to be.

    Attributes:
        url: Of the service.

        kept_at: When it was first wanted, local epoch ms.

        asked: Requests that were begun, the next one included.

        result: The final answer, OK or FAIL; empty before there is one.

        message: What came with it.
    """

    url: str
    body: TransferBody
    kept_at: int
    asked: int = 1
    result: str = ""
    message: str = ""

    @property
    def transfer_id(self) -> TransferId:
        """Its id, which is its key at the service."""
        return self.body.transfer_id


class SavedTransfers:
    """A directory of them."""

    def __init__(self, state_dir: Path) -> None:
        """Args: state_dir: They are in a directory below; it is made when it is needed."""
        self._directory = state_dir / DIRECTORY

    def path(self, transfer_id: TransferId) -> Path:
        """The file of a transfer."""
        return self._directory / f"{transfer_id}.json"

    def save(self, kept: SavedTransfer) -> None:
        """Write it, whole or not at all; it is on the disk when this returns.

        Raises:
            ConfigurationError: It cannot be written.
        """
        path = self.path(kept.transfer_id)
        try:
            self._directory.mkdir(mode=_OWNER_ONLY_DIRECTORY, parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {path}: {error.strerror}; nothing is sent that is not kept, name "
                "another directory with --state-dir"
            ) from error

    def find(self, transfer_id: TransferId) -> SavedTransfer | None:
        """What is kept of *transfer_id*; None where nothing is.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        path = self.path(transfer_id)
        return _read(path) if path.exists() else None

    def unfinished(self) -> tuple[SavedTransfer, ...]:
        """Those without a final answer, oldest first.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        every = map(_read, sorted(self._directory.glob("*.json")))
        return tuple(sorted((k for k in every if not k.result), key=lambda kept: kept.kept_at))


def _read(path: Path) -> SavedTransfer:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedTransfer)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}); look at the transfer by its id with chimera-s1 "
            "ledger show, then remove the file"
        ) from error
