"""Port: the last good snapshot of S10, kept across restarts."""

from typing import Protocol

from chimera_s1.domain.operations.active_configuration import Snapshot


class KeptConfiguration(Protocol):
    """One snapshot; a newer one replaces it."""

    async def load(self) -> Snapshot | None:
        """The saved snapshot; None if there is none of this S10.

        Raises:
            ConfigurationNotKeptError: It cannot be read, or is damaged.
        """
        ...

    async def save(self, snapshot: Snapshot) -> None:
        """Replace the saved snapshot, all of it or nothing.

        Raises:
            ConfigurationNotKeptError: It cannot be written; the one before is still there.
        """
        ...
