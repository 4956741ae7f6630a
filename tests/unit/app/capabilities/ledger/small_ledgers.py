"""Two small domains on ledgers of their own: a counter with a limit, and a list of names."""

from collections.abc import Callable
from functools import partial

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.app.capabilities.ledger.engine import Decision, LedgerEngine
from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, LedgerHead, NewEvent
from chimera_s1.domain.ports.event_store import AppendResult, EventStore, SeqTaken
from tests.fakes.ledger_stores import FaultyEventStore
from tests.virtual_time import LoopClock

LIMIT = 100
ACTOR = "tester"


class FaultyStore(FaultyEventStore):
    """A ledger with a stale head, lost appends or a fast competitor, as set.

    Attributes:
        lags: `head` answers as if the ledger were empty.
        appends_to_lose: Appends that fail before they are written.
        compete: Called before each append; may write to the same ledger.
        conflicts: Appends that found their sequence number taken.
        heads_read: Calls of `head`.
    """

    def __init__(self, ledger: str, contents: LedgerContents | None = None) -> None:
        super().__init__(ledger, contents)
        self.lags = False
        self.appends_to_lose = 0
        self.compete: Callable[[], None] = lambda: None
        self.conflicts = 0
        self.heads_read = 0

    async def head(self) -> LedgerHead:
        self.heads_read += 1
        return LedgerHead() if self.lags else await super().head()

    async def append(self, commit: Commit) -> AppendResult:
        if self.appends_to_lose:
            self.appends_to_lose -= 1
            raise StoreUnavailableError("the request was lost")
        self.compete()
        result = await super().append(commit)
        self.conflicts += isinstance(result, SeqTaken)
        return result


class Counter:
    """A total that never exceeds `LIMIT`; each instance decides from its own fold."""

    def __init__(self, store: EventStore, cursors: MemoryCursorStore | None = None) -> None:
        self.total = 0
        self.engine = make_engine(store, self._fold, cursors, "ops:events/counter")

    def _fold(self, commit: Commit) -> None:
        for record in commit.events:
            amount = record.data["by"]
            if not isinstance(amount, int):
                raise LedgerDamagedError(f"commit {commit.seq} adds {amount!r}")
            self.total += amount

    async def add(self, by: int, stream: str = "counter/main", *, read_first: bool = True) -> bool:
        """Add *by* unless that exceeds the limit."""
        decide = partial(self._decide, by, stream)
        return await self.engine.execute(decide, ACTOR, read_first=read_first)

    async def require(self, by: int) -> None:
        """Add *by*, unread; raise if that exceeds the limit."""

        async def decide() -> Decision[bool]:
            decision = await self._decide(by, "counter/main")
            if not decision.result:
                raise InvalidValueError(f"{self.total} and {by} exceed {LIMIT}")
            return decision

        await self.engine.execute(decide, ACTOR, read_first=False)

    async def _decide(self, by: int, stream: str) -> Decision[bool]:
        if self.total + by > LIMIT:
            return Decision(result=False)
        event = NewEvent(stream, "counter.added", 1, {"by": by})
        return Decision(result=True, events=(event,))


class Names:
    """Names, each registered once."""

    def __init__(self, store: EventStore, cursors: MemoryCursorStore | None = None) -> None:
        self.names: list[str] = []
        self.engine = make_engine(store, self._fold, cursors, "ops:events/names")

    def _fold(self, commit: Commit) -> None:
        self.names += [record.stream.removeprefix("name/") for record in commit.events]

    async def register(self, name: str) -> bool:
        """False where the name is taken."""
        return await self.engine.execute(partial(self._decide, name), ACTOR)

    async def _decide(self, name: str) -> Decision[bool]:
        stream = f"name/{name}"
        if await self.engine.read_stream(stream):
            return Decision(result=False)
        event = NewEvent(stream, "names.registered", 1, {"length": len(name)})
        return Decision(
            result=True, events=(event,), stream_versions={stream: 0}, correlation_id=name
        )


class StreamRows:
    """A projection that counts the events of each stream."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    async def clear(self) -> None:
        self.rows.clear()

    async def apply(self, entries: tuple[LedgerEntry, ...]) -> None:
        for entry in entries:
            for record in entry.commit.events:
                self.rows[record.stream] = record.version


class CommitIds:
    """Ids that no other engine of this test makes."""

    made = 0

    @classmethod
    def new(cls) -> str:
        cls.made += 1
        return f"commit-{cls.made}"


def make_engine(
    store: EventStore,
    fold: Callable[[Commit], None],
    cursors: MemoryCursorStore | None = None,
    cursor_name: str = "",
) -> LedgerEngine:
    return LedgerEngine(
        store,
        fold,
        clock=LoopClock(),
        new_id=CommitIds.new,
        draw=lambda: 0.5,
        read_relayed_seq=partial(cursors.read, cursor_name) if cursors is not None else None,
    )
