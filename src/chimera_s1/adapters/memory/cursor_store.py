"""Cursors in memory."""

from anyio.lowlevel import checkpoint


class MemoryCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`."""

    def __init__(self) -> None:
        self.seqs: dict[str, int] = {}

    async def read(self, name: str) -> int:
        await checkpoint()
        return self.seqs.get(name, 0)

    async def advance(self, name: str, seq: int) -> None:
        await checkpoint()
        self.seqs[name] = max(seq, self.seqs.get(name, 0))

    async def rewind(self, name: str) -> None:
        await checkpoint()
        self.seqs.pop(name, None)
