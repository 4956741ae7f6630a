"""Halt and resume trading: kept in a ledger of its own, which every instance follows."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, get_args

from chimera_s1.app.capabilities.ledger.engine import Decision, LedgerEngine
from chimera_s1.domain.errors import (
    LedgerDamagedError,
    LedgerTooNewError,
    StoreUnavailableError,
)
from chimera_s1.domain.ledger.commit import Commit, NewEvent, RecordedEvent
from chimera_s1.domain.ledger.event_data import from_data, tag_of, to_data
from chimera_s1.domain.operations.halt import (
    Halt,
    HaltEvent,
    decide_halt,
    evolve_halt,
)
from chimera_s1.domain.operations.trading_mode import (
    HaltUnknown,
    ModeEvent,
    TradingHalted,
    TradingResumed,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import EventStore

HALT_LEDGER = "mode"
"""The ledger's name in its store; it never changes."""

POLL_INTERVAL_MS = 1_000.0

_STREAM: Final = "mode"
_VERSION: Final = 1
_EVENT_TYPES: Final[dict[str, type[HaltEvent]]] = {
    tag_of(kind): kind for kind in get_args(HaltEvent)
}
_log = logging.getLogger(__name__)


class HaltLedger:
    """The halt as of the last read of the store.

    Args:
        apply: Changes the trading mode of this instance.
        read_relayed_seq: See `LedgerEngine`: a ledger that lost its halt is damaged.

    Attributes:
        halt: None until the store was read, and once the ledger is damaged or too new: the commit
            that cannot be read may be a halt.
        last_error: Why `halt` may be old, or is not known; empty if the last read succeeded.
    """

    def __init__(
        self,
        store: EventStore,
        apply: Callable[[ModeEvent], None],
        *,
        clock: Clock,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        read_relayed_seq: Callable[[], Awaitable[int]],
    ) -> None:
        self.engine = LedgerEngine(
            store,
            self._fold,
            clock=clock,
            new_id=new_id,
            draw=draw,
            read_relayed_seq=read_relayed_seq,
        )
        self.halt: Halt | None = None
        self.last_error = ""
        self._apply = apply
        self._clock = clock
        self._folded = Halt()
        self._unknown = ""

    async def run(self) -> None:
        """Follow the ledger until cancelled."""
        while True:
            version = self.engine.changes.version
            await self.refresh()
            await self.engine.changes.wait_after(self._clock, POLL_INTERVAL_MS, version=version)

    async def refresh(self) -> None:
        """Read what other instances have written; an error is kept in `last_error`."""
        try:
            await self.engine.catch_up()
            self._use()
        except StoreUnavailableError as error:
            self._record_failure(str(error))
        except (LedgerDamagedError, LedgerTooNewError) as error:
            self._forget()
            self._record_failure(str(error))

    async def set(self, *, halted: bool, reason: str, actor: str) -> Halt:
        """Halt or resume trading for all instances; where it is so already, nothing is written.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It is unknown whether it
                was written; the same call may be repeated.
        """
        await self.engine.execute(partial(self._decide, halted=halted, reason=reason), actor)
        self._use()
        return self._folded

    async def _decide(self, *, halted: bool, reason: str) -> Decision[None]:
        if self._unknown:
            raise LedgerTooNewError(self._unknown)
        event = decide_halt(self._folded, halted=halted, reason=reason)
        return Decision(None) if event is None else Decision(None, (_to_new_event(event),))

    def _use(self) -> None:
        """Let the mode follow what was folded."""
        if self._unknown:
            raise LedgerTooNewError(self._unknown)
        if self.last_error:
            _log.info("the store of the trading mode can be read again")
        self.last_error = ""
        known, self.halt = self.halt, self._folded
        if known is None or known.halted != self.halt.halted:
            self._apply(TradingHalted() if self.halt.halted else TradingResumed())
            if self.halt.since:
                word = "HALTED" if self.halt.halted else "resumed"
                _log.warning("trading is %s by %s: %s", word, self.halt.actor, self.halt.reason)

    def _forget(self) -> None:
        if self.halt is not None:
            self.halt, self.last_error = None, ""  # the log says what changes
            self._apply(HaltUnknown())

    def _record_failure(self, cause: str) -> None:
        if not self.last_error:
            then = "the last known one holds" if self.halt else "nothing is spent until it is read"
            _log.warning("cannot read the trading mode: %s; %s", cause, then)
        self.last_error = cause

    def _fold(self, commit: Commit) -> None:
        for record in commit.events:
            event = _decode(record)
            if event is None:
                self._unknown = (
                    f"{record.id} is a {record.type} of version {record.v}: a newer version of "
                    "the service has written it; upgrade this instance"
                )
            else:
                self._folded = evolve_halt(event, actor=commit.actor, at=commit.at)


def _to_new_event(event: HaltEvent) -> NewEvent:
    return NewEvent(_STREAM, tag_of(type(event)), _VERSION, to_data(event))


def _decode(record: RecordedEvent) -> HaltEvent | None:
    """None for an event of a newer version.

    Raises:
        LedgerDamagedError: The data does not fit the event type.
    """
    kind = _EVENT_TYPES.get(record.type)
    return None if kind is None or record.v > _VERSION else from_data(record, kind)
