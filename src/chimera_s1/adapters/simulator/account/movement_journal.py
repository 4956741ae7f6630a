"""The true movements of money, on disk: readable after the simulator was killed."""

import os
from pathlib import Path
from typing import Any

import orjson

from chimera_s1.adapters.simulator.account.movements import ASSET, Movement, format_amount
from chimera_s1.domain.errors import ConfigurationError


def movement_record(movement: Movement) -> dict[str, Any]:
    """*movement* as the control plane and the journal show it."""
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
    """JSON lines: one for each executed movement, and a second one if it fails later."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError if *path* cannot be written."""
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigurationError(f"--books: {path}: {error.strerror}") from error

    def write(self, movement: Movement) -> None:
        """Append *movement* and sync it to disk."""
        os.write(
            self._file, orjson.dumps(movement_record(movement), option=orjson.OPT_APPEND_NEWLINE)
        )
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)
