"""Drive every open entry: protect what is filled, and end what is over.

An entry is decided anew, from the ledger, after each change and at each of its times, so that a
restart or a take-over needs no step of its own. One instance drives the entries, by lease; an order
of an instance that has lost it cannot be placed twice: both derive the same client id.
"""

import logging
import math
from collections.abc import Callable, Iterable
from typing import Final, assert_never

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, field

from chimera_s1.app.capabilities.execution.cancel_orders import CancelOrders
from chimera_s1.app.capabilities.execution.entries.decide_entry import decide_entry
from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.app.capabilities.execution.entries.situations import BuildSituation
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.place_orders import PlaceOrders
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ChimeraError, ClientIdUsedError
from chimera_s1.domain.execution.entries.attempts import is_unresolved
from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.events import EntryAlarmed
from chimera_s1.domain.execution.entries.steps import (
    Cancel,
    LookUp,
    NextSteps,
    Place,
    Record,
    Step,
)
from chimera_s1.domain.execution.order_request import ref_of
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import OrderGateway, OrderNotFound

ACTOR: Final = "s1/entries"
POLL_INTERVAL_MS: Final = 1_000.0
"""Every open entry is decided at least this often."""

GUARD_INTERVAL_MS: Final = 100.0
"""A guard compares its prices with the newest quote so often."""

RETRY_MS: Final = 200.0
"""After a step that failed before anything was sent."""

_log = logging.getLogger(__name__)


class _Drive(Struct):
    """What this process knows of one entry, beside the ledger.

    Attributes:
        busy: Client ids of orders with a step under way; `_EVENT` while an event is stored.
        not_found: See `Situation`.
        due_ms: Of the next decision, monotonic.
        waiting_for: As in `NextSteps`.
        unsettled: The last decision had steps, so an ended entry is decided again.
    """

    busy: set[str] = field(default_factory=set)
    not_found: set[str] = field(default_factory=set)
    due_ms: float = 0.0
    waiting_for: str = ""
    unsettled: bool = False
    last_error: str = ""


_EVENT: Final = "entry event"


class RunEntries:
    """Args:
    now_ms: The exchange's clock where it is known, else this machine's; epoch ms.
    is_mine: Whether this instance drives the entries of a venue now; reads memory.
    on_alarm: Called after the alarm was stored.

    Attributes:
        steps: So many were begun.
        failures: So many failed.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        entries: EntryLedger,
        build: BuildSituation,
        *,
        place: PlaceOrders,
        cancel: CancelOrders,
        gateway: OrderGateway,
        clock: Clock,
        now_ms: Callable[[Venue], int],
        is_mine: Callable[[Venue], bool],
        on_alarm: Callable[[Entry, EntryAlarmed], None],
    ) -> None:
        self._ledger = ledger
        self._book = ledger.state.entries
        self._entries = entries
        self._build = build
        self._place = place
        self._cancel = cancel
        self._gateway = gateway
        self._clock = clock
        self._now_ms = now_ms
        self._is_mine = is_mine
        self._on_alarm = on_alarm
        self._drives: dict[str, _Drive] = {}
        self._mine: frozenset[Venue] = frozenset()
        self._wake = ChangeSignal()
        self.steps = 0
        self.failures = 0

    async def run(self) -> None:
        """Drive entries until cancelled; what was begun is ended by its own limits."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_ledger)
            while True:
                version = self._wake.version
                self._advance_due(tasks)
                await self._wake.wait_after(self._clock, self._wait_ms(), version=version)

    async def _follow_ledger(self) -> None:
        while True:
            version = self._ledger.changes.version
            self._wake.notify()
            await self._ledger.changes.next_after(version)

    def waiting_for(self, entry_id: str) -> str:
        """What comes next, and when; empty where another instance drives the entry."""
        drive = self._drives.get(entry_id)
        return "" if drive is None else drive.waiting_for

    def last_error(self) -> str:
        """Of the newest failed step of an open entry; empty if none failed."""
        return next((d.last_error for d in self._drives.values() if d.last_error), "")

    def _advance_due(self, tasks: TaskGroup) -> None:
        mine = frozenset(venue for venue in Venue if self._is_mine(venue))
        touched = {*self._book.take_touched(), *self._taken_over(mine - self._mine)}
        self._mine = mine
        for entry_id in self._due(touched, mine):
            self._advance(self._book.entries[entry_id], tasks)

    def _taken_over(self, venues: frozenset[Venue]) -> Iterable[str]:
        """All entries in memory: there may be evidence for one that has ended, which the instance
        before did not see.
        """
        return (name for name, entry in self._book.entries.items() if _venue(entry) in venues)

    def _due(self, touched: Iterable[str], mine: frozenset[Venue]) -> list[str]:
        now_ms = self._clock.monotonic_ms()
        driven = {
            entry.entry_id: None for entry in self._book.open_entries() if _venue(entry) in mine
        }
        for entry_id in touched:
            entry = self._book.entries.get(entry_id)
            if entry is not None and _venue(entry) in mine:
                driven[entry_id] = None
                self._drives.setdefault(entry_id, _Drive()).due_ms = now_ms
        for entry_id in [name for name in self._drives if name not in driven]:
            drive, entry = self._drives[entry_id], self._book.entries.get(entry_id)
            if drive.unsettled and entry is not None and _venue(entry) in mine:
                driven[entry_id] = None
            elif drive.busy:
                drive.due_ms = math.inf  # decided again only once something changes
            else:
                del self._drives[entry_id]
        return [
            entry_id
            for entry_id in driven
            if self._drives.setdefault(entry_id, _Drive()).due_ms <= now_ms
        ]

    def _advance(self, entry: Entry, tasks: TaskGroup) -> None:
        drive = self._drives[entry.entry_id]
        now_ms = self._now_ms(entry.spec.instrument.venue)
        situation = self._build.of(entry, now_ms, drive.busy, drive.not_found)
        if situation.instrument is None and not _protects_without_rules(entry):
            drive.due_ms, drive.unsettled = self._clock.monotonic_ms() + POLL_INTERVAL_MS, True
            return
        following = decide_entry(situation)
        drive.waiting_for = following.waiting_for
        drive.unsettled = bool(following.steps)
        drive.due_ms = self._clock.monotonic_ms() + _pause_ms(entry, following, now_ms)
        for step in following.steps:
            name = _busy_name(step)
            if name not in drive.busy:
                drive.busy.add(name)
                self.steps += 1
                tasks.start_soon(self._take, entry, drive, step, name)

    def _wait_ms(self) -> float:
        now_ms = self._clock.monotonic_ms()
        due_ms = min((drive.due_ms for drive in self._drives.values()), default=math.inf)
        return min(max(0.0, due_ms - now_ms), POLL_INTERVAL_MS)

    async def _take(self, entry: Entry, drive: _Drive, step: Step, name: str) -> None:
        try:
            await self._begin(entry, drive, step)
        except ClientIdUsedError:
            pass  # another instance has taken this step
        except ChimeraError as error:
            self.failures += 1
            if str(error) != drive.last_error:
                _log.error("entry %s: %s failed: %s; retrying", entry.entry_id, name, error)
            drive.last_error = str(error)
            await self._clock.sleep_ms(RETRY_MS)
        else:
            drive.last_error = ""
        finally:
            drive.busy.discard(name)
            drive.due_ms = self._clock.monotonic_ms()
            self._wake.notify()

    async def _begin(self, entry: Entry, drive: _Drive, step: Step) -> None:
        match step:
            case Place(request=request):
                await self._place.place(request, entry.entry_id, Purpose.EXIT, ACTOR)
            case Cancel(client_id=client_id, cause=cause):
                await self._cancel.cancel(client_id, cause, ACTOR)
            case LookUp(client_id=client_id):
                await self._look_up(client_id, drive)
            case Record(event=event):
                stored = await self._entries.record(event, entry, ACTOR)
                if stored and isinstance(event, EntryAlarmed):
                    self._on_alarm(entry, event)
            case _:
                assert_never(step)

    async def _look_up(self, client_id: str, drive: _Drive) -> None:
        order = self._ledger.state.orders[client_id]
        result = await self._gateway.find(ref_of(order.request))
        if isinstance(result, OrderNotFound):
            drive.not_found.add(client_id)
            return
        drive.not_found.discard(client_id)
        await self._ledger.record(ACTOR, *result.reports)
        if is_unresolved(self._ledger.state.orders[client_id]):
            await self._clock.sleep_ms(RETRY_MS)  # the reports do not name it


def _venue(entry: Entry) -> Venue:
    return entry.spec.instrument.venue


def _protects_without_rules(entry: Entry) -> bool:
    """Before the listing is known, dust cannot be told from what needs protection. An open futures
    entry does not wait: its fills are on the grid.
    """
    return entry.is_open and _venue(entry) is Venue.PERP


def _pause_ms(entry: Entry, following: NextSteps, now_ms: int) -> float:
    watches = entry.guard is not None and entry.triggered is None
    longest_ms = GUARD_INTERVAL_MS if watches else POLL_INTERVAL_MS
    if following.wake_ms is None:
        return longest_ms
    return min(longest_ms, max(0.0, float(following.wake_ms - now_ms)))


def _busy_name(step: Step) -> str:
    match step:
        case Place(request=request):
            return request.client_id
        case Cancel(client_id=client_id) | LookUp(client_id=client_id):
            return client_id
        case Record():
            return _EVENT
        case _:
            assert_never(step)
