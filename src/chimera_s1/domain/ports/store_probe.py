"""Port: whether the store works now."""

from typing import Protocol


class StoreProbe(Protocol):
    @property
    def place(self) -> str:
        """Which store, for the operator: `SQLite file /var/lib/chimera/s1.sqlite3`."""
        ...

    async def check(self) -> None:
        """Ask the store for something cheap; changes nothing.

        Raises:
            StoreUnavailableError: It does not answer, or takes no writes.
            LedgerDamagedError: It is damaged.
            ConfigurationError: It cannot be opened as the settings say.
        """
        ...
