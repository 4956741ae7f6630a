"""Port: where S10 announces its revisions."""

from typing import Protocol


class RevisionAnnouncements(Protocol):
    """The key `cfg:active_rev` and the stream `cfg:events`; only S10 writes them.

    Calls raise `PublisherUnavailableError` if the store is unavailable or holds something else
    there, and `ConfigurationError` if it refuses our credentials.
    """

    async def current(self) -> int | None:
        """The revision in `cfg:active_rev`; None without one."""
        ...

    async def wait(self) -> bool:
        """Return True at the next entry of `cfg:events`, False after about a second without."""
        ...
