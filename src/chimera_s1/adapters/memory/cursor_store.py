"""Cursors in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError


class MemoryCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`; `gone` makes it unreachable until it is
    set back.
    """

    def __init__(self, positions: dict[str, int] | None = None) -> None:
        """Args: positions: What an earlier store has left."""
        self.positions = {} if positions is None else positions
        self.gone = False

    async def position(self, name: str) -> int:
        """The last place that *name* is done with."""
        await self._reach()
        return self.positions.get(name, 0)

    async def advance(self, name: str, position: int) -> None:
        """Remember *position*, unless a later one is there."""
        await self._reach()
        self.positions[name] = max(position, self.positions.get(name, 0))

    async def rewind(self, name: str) -> None:
        """Begin anew."""
        await self._reach()
        self.positions.pop(name, None)

    async def _reach(self) -> None:
        await checkpoint()
        if self.gone:
            raise StoreUnavailableError("the cursors' store is gone")
