"""Serve a venue's feed: keep the chosen instruments subscribed while listing and choice change."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import CORRECT_NAME, FeedReport
from chimera_s1.domain.market.instrument_selection import (
    Listing,
    Selection,
    Shard,
    select_instruments,
)
from chimera_s1.domain.market.selection_change import (
    KeptInstrument,
    SelectionChange,
    compare_selections,
    keep_held,
)
from chimera_s1.domain.ports.held_symbols import HeldSymbols
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.symbol_choice import SymbolChoice

_NAMES_SHOWN = 5

_log = logging.getLogger(__name__)


class SelectionFollower(Protocol):
    """Everything that keeps something about each served instrument."""

    def add(self, instruments: Sequence[InstrumentId]) -> None:
        """*instruments* will be subscribed."""
        ...

    def remove(self, venue: Venue, removed: Sequence[tuple[InstrumentId, str]]) -> None:
        """*removed* are not subscribed any more: the instruments of a venue, and why."""
        ...


class _Changing(Protocol):
    @property
    def version(self) -> int: ...

    async def wait_changed(self, version: int) -> None: ...


class ServeFeed:
    """Args:
    report_unknown_contract: Called once for each contract type that `*` does not know, with an
        instrument of that type.
    report_kept: Called when an instrument begins to be served only because it is held.
    """

    def __init__(
        self,
        feed: MarketFeed,
        instruments: InstrumentReader,
        choice: SymbolChoice,
        *,
        held: HeldSymbols,
        shard: Shard,
        follower: SelectionFollower,
        report_unknown_contract: Callable[[str, str], None],
        report_kept: Callable[[KeptInstrument], None],
    ) -> None:
        self._feed = feed
        self._instruments = instruments
        self._choice = choice
        self._held = held
        self._shard = shard
        self._follower = follower
        self._report_unknown_contract = report_unknown_contract
        self._report_kept = report_kept
        self._kept: tuple[KeptInstrument, ...] = ()
        self._served: tuple[InstrumentId, ...] | None = None
        self._unlisted: tuple[str, ...] = ()
        self._unknown_contracts: set[str] = set()

    @property
    def venue(self) -> Venue:
        return self._feed.venue

    async def run(self) -> None:
        """Serve until cancelled.

        It returns only if the feed ends by itself, which the supervisor treats as a defect.
        """
        changes = ChangeSignal()
        async with anyio.create_task_group() as tasks:
            for source in (self._instruments, self._choice, self._held):
                tasks.start_soon(_forward, source, source.version, changes)
            while True:
                version = changes.version
                self._follow(tasks)
                await changes.next_after(version)

    def report(self) -> FeedReport:
        """State of the connections, and the names that the venue does not list."""
        return structs.replace(
            self._feed.report(),
            unlisted=self._unlisted,
            kept=tuple(f"{each.instrument} ({each.holders})" for each in self._kept),
            listing_error=self._instruments.problem(self.venue),
            chosen=self._choice.is_known,
        )

    def _follow(self, tasks: TaskGroup) -> None:
        listings = self._instruments.listings(self.venue)
        if listings is None or (self._served and not listings):
            return  # a venue without any instrument is a defect of the listing: serve what was
        selection = select_instruments(self._choice.current(), listings, self.venue, self._shard)
        self._report_unlisted(selection)
        self._report_unknown(selection.unknown_contracts)
        selection = self._keep(selection, listings)
        served, self._served = self._served, selection.instruments
        change = compare_selections(served or (), selection, listings)
        if change:
            _log.info("%s: %s", self.venue.value, _summary(change))
        self._follower.add(change.added)
        if served is None:
            tasks.start_soon(self._run_feed, selection.instruments, tasks)
        elif change:
            self._feed.select(selection.instruments)
        self._follower.remove(self.venue, change.removed)

    def _keep(self, selection: Selection, listings: Sequence[Listing]) -> Selection:
        """*selection* with what capabilities hold of this venue."""
        held = {each: by for each, by in self._held.held().items() if each.venue is self.venue}
        before = {each.instrument for each in self._kept}
        selection, self._kept = keep_held(selection, self._served or (), held, listings)
        for each in self._kept:
            if each.instrument not in before:
                _log.info("%s is kept for %s: %s", each.instrument, each.holders, each.cause)
                self._report_kept(each)
        return selection

    async def _run_feed(self, instruments: Sequence[InstrumentId], tasks: TaskGroup) -> None:
        await self._feed.run(instruments)
        tasks.cancel_scope.cancel()

    def _report_unlisted(self, selection: Selection) -> None:
        before, self._unlisted = self._unlisted, tuple(map(str, selection.unlisted))
        if names := ", ".join(name for name in self._unlisted if name not in before):
            text = "%s: not listed by Binance and not served until it is; %s"
            _log.warning(text, names, CORRECT_NAME)

    def _report_unknown(self, listings: Sequence[Listing]) -> None:
        by_type = {row.contract_type: str(row.instrument) for row in reversed(listings)}
        for contract_type, example in by_type.items():
            if contract_type in self._unknown_contracts:
                continue
            self._unknown_contracts.add(contract_type)
            _log.warning(
                "%s: contract type %r is unknown, so * does not serve it; name such a symbol in "
                "S1_SYMBOLS to serve it",
                example,
                contract_type,
            )
            self._report_unknown_contract(contract_type, example)


async def _forward(source: _Changing, version: int, changes: ChangeSignal) -> None:
    while True:
        await source.wait_changed(version)
        version = source.version
        changes.notify()


def _summary(change: SelectionChange) -> str:
    """`subscribing NEWUSDT; unsubscribing OLDUSDT (delisted: ...)`."""
    parts = []
    if change.added:
        parts.append(f"subscribing {_shown([str(each.symbol) for each in change.added])}")
    if change.removed:
        names = [f"{each.symbol} ({cause})" for each, cause in change.removed]
        parts.append(f"unsubscribing {_shown(names)}")
    return "; ".join(parts)


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
