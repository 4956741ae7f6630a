"""Halting and resuming trading: stored, followed by every instance, never guessed."""

from itertools import count

import anyio
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.app.capabilities.operations.track_trading_mode import TrackTradingMode
from chimera_s1.app.capabilities.trading_mode.halt_ledger import (
    HALT_LEDGER,
    POLL_INTERVAL_MS,
    HaltLedger,
)
from chimera_s1.domain.errors import LedgerTooNewError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import CommitDraft, LedgerHead, NewEvent, seal
from chimera_s1.domain.operations.halt import Halt
from chimera_s1.domain.operations.trading_mode import TradingMode
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.manual_clock import ManualClock

NOW_MS = 1_772_514_460_893
_ids = count(1)


class Instance:
    """One of several that share a store."""

    def __init__(self, contents: LedgerContents | None = None) -> None:
        self.clock = ManualClock(NOW_MS)
        self.store = FaultyEventStore(HALT_LEDGER, contents)
        self.tracked = TrackTradingMode(lambda _, __: None)
        self.relayed_seq = 0
        self.ledger = HaltLedger(
            self.store,
            self.tracked.apply,
            clock=self.clock,
            new_id=lambda: f"id-{next(_ids)}",
            draw=lambda: 0.0,
            read_relayed_seq=self._read_relayed_seq,
        )

    async def _read_relayed_seq(self) -> int:
        await checkpoint()
        return self.relayed_seq

    @property
    def mode(self) -> tuple[TradingMode, bool]:
        return self.tracked.mode(), self.tracked.known()


NORMAL, HALTED = (TradingMode.NORMAL, True), (TradingMode.HALTED, True)
UNKNOWN = (TradingMode.HALTED, False)
HALT = Halt(halted=True, reason="odd fills", actor="ops/k1", since=NOW_MS)


async def test_a_halt_is_kept_with_its_reason_for_all_instances_and_restarts() -> None:
    one = Instance()
    assert one.mode == UNKNOWN
    await one.ledger.refresh()
    assert (one.mode, one.ledger.halt) == (NORMAL, Halt())

    assert await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1") == HALT
    assert one.mode == HALTED
    other = Instance(one.store.contents)
    await other.ledger.refresh()
    assert (other.mode, other.ledger.halt) == (HALTED, HALT)

    await other.ledger.set(halted=False, reason="explained", actor="ops/k2")
    await one.ledger.refresh()
    assert one.mode == other.mode == NORMAL
    assert one.ledger.halt == Halt(reason="explained", actor="ops/k2", since=NOW_MS)


async def test_other_instances_follow_within_their_next_poll() -> None:
    one = Instance()
    other = Instance(one.store.contents)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.ledger.run)
        await other.clock.wait_for_sleeper()
        await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1")
        await other.clock.advance(POLL_INTERVAL_MS)
        assert other.mode == HALTED
        tasks.cancel_scope.cancel()


async def test_a_repeated_halt_writes_nothing_and_keeps_the_first_reason() -> None:
    one = Instance()
    await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1")

    again = await one.ledger.set(halted=True, reason="again", actor="ops/k2")

    assert (again, one.ledger.engine.head.seq) == (HALT, 1)


async def test_an_unreadable_store_keeps_what_was_known_and_nothing_else() -> None:
    started = Instance()
    started.store.unavailable = True
    await started.ledger.refresh()
    assert (started.mode, started.ledger.halt) == (UNKNOWN, None)
    assert started.ledger.last_error

    one = Instance()
    await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1")
    one.store.unavailable = True
    await one.ledger.refresh()
    assert (one.mode, one.ledger.halt) == (HALTED, HALT)
    with pytest.raises(StoreUnavailableError):
        await one.ledger.set(halted=False, reason="explained", actor="ops/k1")
    assert one.mode == HALTED

    one.store.unavailable = False
    await one.ledger.refresh()
    assert (one.mode, one.ledger.last_error) == (HALTED, "")


async def test_a_lost_reply_of_the_store_is_settled_by_the_next_read() -> None:
    one = Instance()
    one.store.replies_to_lose = 1
    with pytest.raises(StoreUnavailableError):
        await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1")

    assert await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1") == HALT
    assert one.ledger.engine.head.seq == 1


@pytest.mark.parametrize("was_read", [False, True])
async def test_an_event_of_a_newer_version_leaves_the_mode_unknown(*, was_read: bool) -> None:
    """It may be a halt, so the mode of before does not hold any more."""
    one = Instance()
    if was_read:
        await one.ledger.refresh()
        assert one.mode == NORMAL
    draft = CommitDraft(
        commit_id="new",
        at=NOW_MS,
        actor="ops/k1",
        correlation_id="",
        events=(NewEvent("mode", "mode.paused", 1, {}),),
    )
    await one.store.append(seal(draft, HALT_LEDGER, LedgerHead(), {"mode": 0}))

    await one.ledger.refresh()

    assert (one.mode, one.ledger.halt) == (UNKNOWN, None)
    assert "upgrade this instance" in one.ledger.last_error
    with pytest.raises(LedgerTooNewError):
        await one.ledger.set(halted=True, reason="odd fills", actor="ops/k1")


async def test_a_damaged_ledger_leaves_the_mode_unknown(caplog: pytest.LogCaptureFixture) -> None:
    """Later halts cannot be read: what was known of them does not hold any more."""
    one = Instance()
    await one.ledger.refresh()
    assert one.mode == NORMAL
    one.ledger.engine.mark_damaged("commit 2 is missing")

    await one.ledger.refresh()

    assert (one.mode, one.ledger.halt) == (UNKNOWN, None)
    assert "commit 2 is missing; nothing is spent until it is read" in caplog.text


async def test_a_ledger_that_has_lost_its_halt_is_damaged() -> None:
    """Its halt was relayed to `ops:events`: an empty ledger would resume trading unasked."""
    one = Instance()
    one.relayed_seq = 1

    await one.ledger.refresh()

    assert one.mode == UNKNOWN
    assert "commits are missing" in one.ledger.last_error
