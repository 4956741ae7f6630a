"""List, replay and delete dead letters, for an operator."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.operations.keep_dead_letters import PLACE_ERRORS, KeepDeadLetters
from chimera_s1.domain.errors import ChimeraError, InvalidValueError, StoreUnavailableError
from chimera_s1.domain.operations.dead_letter import DeadLetter, LetterPort
from chimera_s1.domain.ports.dead_letters import DeadLetters
from chimera_s1.domain.ports.operations_log import EventDetail

PAGE_MAX: Final = 200

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Replay = Callable[[str], Awaitable[str]]
"""Delivers a payload again and says what was done; the same payload may come twice.

Raises `ReplayFailedError` if the payload is refused, or the port's own error.
"""


class UnknownLetterError(ChimeraError):
    """No letter has this id: it was replayed, deleted or pushed out by newer ones."""

    code = "dead_letter.unknown"


class NotReplayableError(ChimeraError):
    """The port has no replay, or the letter no payload."""

    code = "dead_letter.not_replayable"


class ReplayFailedError(ChimeraError):
    """The payload was not delivered; the letter stays."""

    code = "dead_letter.replay_failed"


class ListedLetter(Struct, frozen=True):
    """Attributes:
    letter_id: Names place and letter: `redis.1772514460893-0`.
    """

    letter_id: str
    place: str
    letter: DeadLetter
    replayable: bool


class LetterPage(Struct, frozen=True):
    """Attributes:
    following: The id to ask for the letters after these; empty at the end.

    unreadable: Why letters of a place are missing, by place.
    """

    letters: tuple[ListedLetter, ...]
    following: str
    unreadable: Mapping[str, str]


class HandleDeadLetters:
    """Args:
    record: Takes an operational event.
    """

    def __init__(self, keep: KeepDeadLetters, record: Callable[[str, EventDetail], None]) -> None:
        self._keep = keep
        self._record = record
        self._replays: dict[str, Replay] = {}
        self._one_at_a_time = anyio.Lock()
        self.replayed = 0
        self.deleted = 0

    def register(self, port: LetterPort, replay: Replay) -> None:
        """*replay* delivers the letters of *port*."""
        assert port.value not in self._replays, port
        self._replays[port.value] = replay

    async def list_page(self, after: str, limit: int) -> LetterPage:
        """Letters after the one of id *after*, place by place, the oldest of a place first."""
        found: list[ListedLetter] = []
        unreadable: dict[str, str] = {}
        place_of_after, _, begin = after.partition(".")
        names = list(self._keep.places)
        if place_of_after in names:
            names = names[names.index(place_of_after) :]
        elif after:
            raise UnknownLetterError(f"{after!r} is no id of a dead letter")
        for name in names:
            wanted = limit + 1 - len(found)
            if wanted <= 0:
                break
            start = begin if name == place_of_after else ""
            try:
                page = await self._keep.places[name].page(after=start, limit=wanted)
            except PLACE_ERRORS as error:
                unreadable[name] = str(error)
            else:
                found += [self._listed(name, each.letter_id, each.letter) for each in page]
        following = found[limit - 1].letter_id if len(found) > limit else ""
        return LetterPage(tuple(found[:limit]), following, unreadable)

    async def find(self, letter_id: str) -> ListedLetter:
        """Raises: UnknownLetterError, StoreUnavailableError."""
        name, place, own_id = self._place(letter_id)
        stored = await _answered(name, place.find(own_id))
        if stored is None:
            raise _unknown(letter_id)
        return self._listed(name, stored.letter_id, stored.letter)

    async def replay(self, letter_id: str, actor: str) -> str:
        """Deliver the letter again, delete it, and say what was done.

        Raises:
            UnknownLetterError, NotReplayableError.
            ReplayFailedError: It was not delivered, and stays.
            StoreUnavailableError: The letter cannot be read, or could not be deleted after it was
                delivered; repeat.
        """
        async with self._one_at_a_time:
            listed = await self.find(letter_id)
            letter = listed.letter
            deliver = self._replays.get(letter.port)
            if deliver is None:
                raise NotReplayableError(
                    f"letters of {letter.port or 'an unnamed port'} cannot be replayed: what they "
                    "say is out of date; read it with show, then drop it"
                )
            if not letter.payload:
                raise NotReplayableError(f"{letter_id} has no payload: {letter.reason}")
            try:
                done = await deliver(letter.payload)
            except ReplayFailedError:
                raise
            except (*PLACE_ERRORS, InvalidValueError) as error:
                raise ReplayFailedError(f"{letter_id} was not delivered: {error}") from error
            await self._delete(listed)
            self.replayed += 1
            self._report("dead_letters.replayed", listed, actor)
            return done

    async def drop(self, letter_id: str, actor: str) -> ListedLetter:
        """Delete the letter. Raises: UnknownLetterError, StoreUnavailableError."""
        listed = await self.find(letter_id)
        await self._delete(listed)
        self.deleted += 1
        self._report("dead_letters.deleted", listed, actor)
        return listed

    def _listed(self, place: str, own_id: str, letter: DeadLetter) -> ListedLetter:
        replayable = letter.port in self._replays and bool(letter.payload)
        return ListedLetter(f"{place}.{own_id}", place, letter, replayable)

    def _place(self, letter_id: str) -> tuple[str, DeadLetters, str]:
        name, _, own_id = letter_id.partition(".")
        place = self._keep.places.get(name)
        if place is None:
            raise _unknown(letter_id)
        return name, place, own_id

    async def _delete(self, listed: ListedLetter) -> None:
        name, place, own_id = self._place(listed.letter_id)
        await _answered(name, place.remove(own_id))
        self._keep.recount()

    def _report(self, kind: str, listed: ListedLetter, actor: str) -> None:
        letter = listed.letter
        _log.info("%s: %s %s, by %s", kind, letter.port, letter.key, actor)
        self._record(
            kind,
            {
                "letter_id": listed.letter_id,
                "port": letter.port,
                "key": letter.key,
                "actor": actor,
            },
        )


def _unknown(letter_id: str) -> UnknownLetterError:
    return UnknownLetterError(
        f"no dead letter has the id {letter_id!r}; chimera-s1 dead-letters list shows those kept"
    )


async def _answered(name: str, call: Awaitable[_T]) -> _T:
    """Raises: StoreUnavailableError: The place cannot be used now."""
    try:
        return await call
    except PLACE_ERRORS as error:
        raise StoreUnavailableError(f"dead letters in {name}: {error}") from error
