"""Port: the configuration that S10 serves."""

from typing import Protocol

from chimera_s1.domain.operations.active_configuration import SnapshotDraft


class ConfigurationSource(Protocol):
    """`GET {S1_S10_URL}/active`."""

    async def read(self) -> SnapshotDraft:
        """What S10 serves now, unchecked; a body that cannot be read is a draft with problems.
        The same draft object as before may be returned where S10 served the same.

        Raises:
            ConfigurationUnavailableError: No reply, or an error; the text has S10's own words.
        """
        ...
