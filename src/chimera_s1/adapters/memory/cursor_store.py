"""Cursors in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError


class MemoryCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`; `unavailable` makes it unreachable until
    it is set back.
    """

    def __init__(self, positions: dict[str, int] | None = None) -> None:
        """Args: positions: What an earlier store has left."""
        self.seqs = {} if positions is None else positions
        self.unavailable = False

    async def read(self, name: str) -> int:
        """The last place that *name* is done with."""
        await self._check_available()
        return self.seqs.get(name, 0)

    async def advance(self, name: str, seq: int) -> None:
        """Remember *seq*, unless a later one is there."""
        await self._check_available()
        self.seqs[name] = max(seq, self.seqs.get(name, 0))

    async def rewind(self, name: str) -> None:
        """Begin anew."""
        await self._check_available()
        self.seqs.pop(name, None)

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError("the cursors' store is gone")
