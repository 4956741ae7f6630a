"""Keep what could not be delivered: in Redis, and where Redis is gone in the store."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    LedgerDamagedError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.dead_letter import DeadLetter, LetterPort, make_letter
from chimera_s1.domain.operations.dead_letters_report import DeadLettersReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.dead_letters import DeadLetters
from chimera_s1.domain.ports.operations_log import EventDetail

PLACE_ERRORS = (
    PublisherUnavailableError,
    StoreUnavailableError,
    LedgerDamagedError,
    ConfigurationError,
)
WAITING_MAX: Final = 1_000
COUNT_INTERVAL_MS: Final = 10_000.0
RETRY_WAIT_MS: Final = 1_000.0
FAILED_PLACE_REST_MS: Final = 10_000.0
"""A place that failed is not tried before: each try may take seconds."""

LEARNED_AT_ONCE: Final = 50
REMEMBERED_MAX: Final = 10_000

_log = logging.getLogger(__name__)


class LetterCounters(Struct):
    """Since the start.

    Attributes:
        kept: Letters written, by port.
        lost: Letters dropped at a bound: of a place, or of the memory while no place works.
    """

    kept: dict[str, int]
    lost: int = 0


class KeepDeadLetters:
    """Takes letters without waiting; one worker writes each to the first place that works.

    Args:
        places: By name, the preferred one first.
        limit: Letters that each place keeps.
        record: Takes an operational event.
    """

    def __init__(
        self,
        places: Mapping[str, DeadLetters],
        *,
        limit: int,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self.places = places
        self._limit = limit
        self._clock = clock
        self._record = record
        self._waiting: deque[DeadLetter] = deque()
        self._kept: dict[tuple[str, str], tuple[str, str]] = {}
        self._counts: dict[str, int | None] = dict.fromkeys(places)
        self._problems: dict[str, str] = {}
        self._rests_until_ms: dict[str, float] = {}
        self._lost_at_ms: float | None = None
        self._changes = ChangeSignal()
        self.counters = LetterCounters({port.value: 0 for port in LetterPort})

    @property
    def pending(self) -> int:
        """Letters in memory."""
        return len(self._waiting)

    def take(self, port: LetterPort, key: str, reason: str, payload: bytes, attempts: int) -> None:
        """Keep an undelivered payload; never waits, never raises.

        While a letter of the same port and key is kept, another one is not. *payload* is JSON,
        without secrets, as the replay of the port takes it.
        """
        letter = make_letter(
            ts=self._clock.now_ms(),
            port=port,
            key=key,
            reason=reason,
            payload=payload,
            attempts=attempts,
        )
        self._waiting.append(letter)
        if len(self._waiting) > WAITING_MAX:
            oldest = self._waiting.popleft()
            self._note_lost(1, f"{oldest.port} {oldest.key}: no place keeps dead letters now")
        self._changes.notify()

    def recount(self) -> None:
        """Some letters were deleted."""
        self._changes.notify()

    async def run(self) -> None:
        """Write what waits and count what is kept, until cancelled."""
        await self._learn()
        while True:
            version = self._changes.version
            wait_ms = COUNT_INTERVAL_MS
            try:
                await self.flush()
            except PLACE_ERRORS:
                wait_ms = RETRY_WAIT_MS
            await self._count()
            await self._changes.wait_after(self._clock, wait_ms, version=version)

    async def flush(self) -> None:
        """Write what waits; on an error the rest stays.

        Raises:
            One of `PLACE_ERRORS`: No place takes a letter now.
        """
        while self._waiting:
            letter = self._waiting[0]
            await self._keep(letter)
            if self._waiting and self._waiting[0] is letter:
                self._waiting.popleft()

    def report(self) -> DeadLettersReport:
        lost_at_ms = self._lost_at_ms
        now_ms = self._clock.monotonic_ms()
        return DeadLettersReport(
            counts=dict(self._counts),
            limit=self._limit,
            waiting=len(self._waiting),
            lost=self.counters.lost,
            lost_ago_ms=None if lost_at_ms is None else now_ms - lost_at_ms,
            problems=dict(self._problems),
        )

    async def _keep(self, letter: DeadLetter) -> None:
        failure: ChimeraError = StoreUnavailableError("no place keeps dead letters now")
        if await self._is_kept(letter):
            return
        for name, place in self._usable():
            try:
                added = await place.add(letter)
            except PLACE_ERRORS as error:
                failure = error
                self._note_failure(name, error)
            else:
                self._remember(letter, name, added.letter_id)
                self._note_kept(name, letter, added.dropped)
                return
        raise failure

    async def _is_kept(self, letter: DeadLetter) -> bool:
        """As far as can be read: a second letter is better than none."""
        name, letter_id = self._kept.get((letter.port, letter.key), ("", ""))
        usable = dict(self._usable())
        if name not in usable:
            return False
        try:
            return await usable[name].find(letter_id) is not None
        except PLACE_ERRORS as error:
            self._note_failure(name, error)
            return False

    async def _learn(self) -> None:
        """What earlier processes have kept, so that it is not kept again."""
        for name, place in self.places.items():
            after = ""
            try:
                while page := await place.page(after=after, limit=LEARNED_AT_ONCE):
                    for each in page:
                        self._remember(each.letter, name, each.letter_id)
                    after = page[-1].letter_id
            except PLACE_ERRORS as error:
                self._note_failure(name, error)

    def _remember(self, letter: DeadLetter, place: str, letter_id: str) -> None:
        self._kept[letter.port, letter.key] = place, letter_id
        if len(self._kept) > REMEMBERED_MAX:
            del self._kept[next(iter(self._kept))]

    def _usable(self) -> list[tuple[str, DeadLetters]]:
        """Those that did not fail a moment ago."""
        now_ms = self._clock.monotonic_ms()
        return [
            (name, place)
            for name, place in self.places.items()
            if self._rests_until_ms.get(name, 0.0) <= now_ms
        ]

    async def _count(self) -> None:
        for name, place in self._usable():
            try:
                self._counts[name] = await place.count()
            except PLACE_ERRORS as error:
                self._note_failure(name, error)
            else:
                self._problems.pop(name, None)

    def _note_failure(self, name: str, error: ChimeraError) -> None:
        if name not in self._problems:
            _log.warning("dead letters cannot be kept in %s: %s", name, error)
        self._problems[name] = str(error)
        self._rests_until_ms[name] = self._clock.monotonic_ms() + FAILED_PLACE_REST_MS

    def _note_kept(self, name: str, letter: DeadLetter, dropped: int) -> None:
        _log.warning(
            "dead letter kept in %s: %s %s was not delivered: %s",
            name,
            letter.port,
            letter.key,
            letter.reason,
        )
        self._problems.pop(name, None)
        self._counts[name] = min((self._counts[name] or 0) + 1, self._limit)
        self.counters.kept[letter.port] = self.counters.kept.get(letter.port, 0) + 1
        if letter.port != LetterPort.OPERATIONS_LOG:
            # An event about an event that cannot be written could not be written either.
            self._record(
                "dead_letters.kept",
                {
                    "port": letter.port,
                    "key": letter.key,
                    "reason": letter.reason,
                    "place": name,
                },
            )
        if dropped:
            self._note_lost(dropped, f"the oldest of {self._limit} in {name}")

    def _note_lost(self, number: int, what: str) -> None:
        first = self._lost_at_ms is None
        self.counters.lost += number
        self._lost_at_ms = self._clock.monotonic_ms()
        level = logging.ERROR if first else logging.WARNING
        _log.log(level, "%d dead letters lost: %s", number, what)
