"""What really happened to the money, on disk: it can be read after the simulator was killed."""

import os
from pathlib import Path
from typing import Any

import orjson

from chimera_s1.adapters.simulator.account.movements import ASSET, Movement, format_amount
from chimera_s1.domain.errors import ConfigurationError

View = dict[str, Any]


def movement_record(movement: Movement) -> View:
    """A movement as the control plane and the books show it."""
    return {
        "tranId": movement.tran_id,
        "type": movement.type.value,
        "asset": ASSET,
        "amount": format_amount(movement.amount),
        "executed_at": movement.executed_ms,
        "status": movement.status.value,
        "clientTranId": movement.client_tran_id or None,
        "origin": movement.origin.value,
        "accepted_at": movement.accepted_ms,
        "settled_at": movement.settled_ms,
    }


class MovementJournal:
    """A file of JSON lines, one for each movement that was executed; a second one if it failed later."""

    def __init__(self, path: Path) -> None:
        """Raises:
        ConfigurationError: *path* cannot be written.
        """
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigurationError(f"--books: {path}: {error.strerror}") from error

    def write(self, movement: Movement) -> None:
        """Append, and return when it is on disk."""
        os.write(
            self._file, orjson.dumps(movement_record(movement), option=orjson.OPT_APPEND_NEWLINE)
        )
        os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
