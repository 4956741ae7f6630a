"""Reads `cfg:active_rev` and `cfg:events`."""

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import ACTIVE_REVISION_KEY, CONFIGURATION_STREAM
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.printable import escape_unprintable

WAIT_MS = 1_000
"""Below the client's socket timeout, so that waiting is no error."""

TIMEOUT_S = 5.0
_VALUE_CHARS_MAX = 40


class RedisRevisionAnnouncements:
    """Implements `domain.ports.revision_announcements.RevisionAnnouncements`.

    Args:
        client: Of its own: a read that waits occupies it.
    """

    def __init__(
        self, client: ClusterClient, *, wait_ms: int = WAIT_MS, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._client = client
        self._wait_ms = wait_ms
        self._timeout_s = timeout_s
        self._last_id = ""

    async def current(self) -> int | None:
        """See the port."""
        with self._client.translate_errors(ACTIVE_REVISION_KEY), anyio.fail_after(self._timeout_s):
            text = await self._client.execute_command("GET", ACTIVE_REVISION_KEY)
        if text is None:
            return None
        stripped = str(text).strip()
        if not (stripped.isascii() and stripped.isdigit()):
            shown = escape_unprintable(stripped[:_VALUE_CHARS_MAX])
            raise PublisherUnavailableError(
                f"{ACTIVE_REVISION_KEY} holds {shown!r}, which is no revision"
            )
        return int(stripped)

    async def wait(self) -> bool:
        """See the port. Entries before the first call do not count; entries of one wait count once.

        A stream that was deleted and begins again with lower ids announces nothing until it has
        passed the old ones; `current` is read all the same.
        """
        with self._client.translate_errors(CONFIGURATION_STREAM), anyio.fail_after(self._timeout_s):
            if not self._last_id:
                self._last_id = await self._newest_id()
            found = await self._client.execute_command(
                "XREAD", "COUNT", 100, "BLOCK", self._wait_ms,
                "STREAMS", CONFIGURATION_STREAM, self._last_id,
            )  # fmt: skip
        if not found:
            return False
        [(_, entries)] = found.items() if isinstance(found, dict) else found
        self._last_id = str(entries[-1][0])
        return True

    async def _newest_id(self) -> str:
        newest = await self._client.execute_command(
            "XREVRANGE", CONFIGURATION_STREAM, "+", "-", "COUNT", 1
        )
        return str(newest[0][0]) if newest else "0-0"
