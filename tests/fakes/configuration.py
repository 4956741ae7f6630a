"""An S10 in memory: what it serves, what it announces, and what was kept of it."""

from collections.abc import Mapping

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from chimera_s1.adapters.s10.active_document import read_document
from chimera_s1.domain.errors import (
    ConfigurationNotKeptError,
    ConfigurationUnavailableError,
    PublisherUnavailableError,
)
from chimera_s1.domain.operations.active_configuration import Snapshot, SnapshotDraft

DEFAULTS = {"spread_bp_limit": 10, "depth_top1_usdt_min": 5000}


def document(
    rev: object = 1, *names: str, spread: object = 5, defaults: object = None
) -> dict[str, object]:
    """What S10 serves for *names*, like `perp/BTCUSDT`."""
    rows = [
        {"venue": name.partition("/")[0], "symbol": name.partition("/")[2],
         "spread_bp_limit": spread, "depth_top1_usdt_min": 20000}
        for name in names
    ]  # fmt: skip
    return {"rev": rev, "instruments": rows, "defaults": DEFAULTS if defaults is None else defaults}


class MemoryConfigurationSource:
    """Implements `domain.ports.configuration_source.ConfigurationSource`.

    Attributes:
        served: A document, bytes in its place, or why it does not answer.
        delay_s: How long a request takes.
    """

    def __init__(self, served: Mapping[str, object] | bytes | str = "connection refused") -> None:
        self.served = served
        self.delay_s = 0.0
        self.requests = 0

    async def read(self) -> SnapshotDraft:
        self.requests += 1
        await anyio.sleep(self.delay_s)
        if isinstance(self.served, str):
            raise ConfigurationUnavailableError(f"GET http://s10/active: {self.served}")
        given = self.served
        return read_document(given if isinstance(given, bytes) else msgspec.json.encode(given))


class MemoryRevisionAnnouncements:
    """Implements `domain.ports.revision_announcements.RevisionAnnouncements`."""

    def __init__(self, wait_s: float = 1.0) -> None:
        self._wait_s = wait_s
        self.rev: int | None = None
        self.available = True
        self._entries = 0
        self._seen = 0
        self._added = anyio.Event()

    def announce(self, rev: int) -> None:
        """As S10: the key, then the entry."""
        self.rev = rev
        self.add_entry()

    def add_entry(self) -> None:
        self._entries += 1
        self._added.set()
        self._added = anyio.Event()

    async def current(self) -> int | None:
        await self._check()
        return self.rev

    async def wait(self) -> bool:
        await self._check()
        if self._seen == self._entries:
            with anyio.move_on_after(self._wait_s):
                await self._added.wait()
        found, self._seen = self._entries > self._seen, self._entries
        return found

    async def _check(self) -> None:
        await checkpoint()
        if not self.available:
            raise PublisherUnavailableError("Redis 10.0.0.5:6379: timed out")


class MemoryKeptConfiguration:
    """Implements `domain.ports.kept_configuration.KeptConfiguration`; fails while *broken*."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot
        self.broken = ""

    async def load(self) -> Snapshot | None:
        await self._check()
        return self.snapshot

    async def save(self, snapshot: Snapshot) -> None:
        await self._check()
        self.snapshot = snapshot

    async def _check(self) -> None:
        await checkpoint()
        if self.broken:
            raise ConfigurationNotKeptError(self.broken)
