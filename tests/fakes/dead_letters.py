"""Dead letters in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.dead_letter import DeadLetter
from chimera_s1.domain.ports.dead_letters import AddedLetter, StoredLetter


class MemoryDeadLetters:
    """Implements `domain.ports.dead_letters.DeadLetters`; raises `failure` while it is set."""

    def __init__(self, *, limit: int = 1_000) -> None:
        self.failure: ChimeraError | None = None
        self.failed_calls = 0
        self._limit = limit
        self._last = 0
        self._letters: dict[int, DeadLetter] = {}

    @property
    def letters(self) -> list[DeadLetter]:
        return list(self._letters.values())

    async def add(self, letter: DeadLetter) -> AddedLetter:
        await self._check()
        self._last += 1
        self._letters[self._last] = letter
        excess = list(self._letters)[: -self._limit]
        for each in excess:
            del self._letters[each]
        return AddedLetter(str(self._last), len(excess))

    async def page(self, *, after: str = "", limit: int = 100) -> tuple[StoredLetter, ...]:
        await self._check()
        if after and not after.isdecimal():
            return ()
        found = [(n, each) for n, each in self._letters.items() if n > int(after or 0)]
        return tuple(StoredLetter(str(n), each) for n, each in found[:limit])

    async def find(self, letter_id: str) -> StoredLetter | None:
        await self._check()
        letter = self._letters.get(int(letter_id)) if letter_id.isdecimal() else None
        return None if letter is None else StoredLetter(letter_id, letter)

    async def remove(self, letter_id: str) -> bool:
        await self._check()
        if not letter_id.isdecimal():
            return False
        return self._letters.pop(int(letter_id), None) is not None

    async def count(self) -> int:
        await self._check()
        return len(self._letters)

    async def _check(self) -> None:
        await checkpoint()
        if self.failure is not None:
            self.failed_calls += 1
            raise self.failure
