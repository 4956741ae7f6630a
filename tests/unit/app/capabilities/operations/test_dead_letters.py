"""Dead letters: kept where something works, counted where nothing does, replayed and deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.app.capabilities.operations import keep_dead_letters
from chimera_s1.app.capabilities.operations.handle_dead_letters import (
    HandleDeadLetters,
    NotReplayableError,
    ReplayFailedError,
    UnknownLetterError,
)
from chimera_s1.app.capabilities.operations.keep_dead_letters import (
    COUNT_INTERVAL_MS,
    FAILED_PLACE_REST_MS,
    KeepDeadLetters,
)
from chimera_s1.domain.errors import (
    ConfigurationError,
    PublisherRefusedError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.dead_letter import PAYLOAD_MAX, LetterPort
from chimera_s1.domain.operations.dead_letters_report import LOSS_SHOWN_MS
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.dead_letters import MemoryDeadLetters
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

LIMIT = 3
REDIS_GONE = PublisherUnavailableError("Redis: connection refused")
STORE_GONE = StoreUnavailableError("ArangoDB: no reply")
REGISTRY = LetterPort.INSTRUMENT_REGISTRY


class Bench:
    """Redis and a store in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.redis, self.store = MemoryDeadLetters(limit=LIMIT), MemoryDeadLetters(limit=LIMIT)
        self.events: list[tuple[str, EventDetail]] = []
        self.restart()

    def restart(self) -> None:
        """Another process with the same Redis and store."""
        places = {"redis": self.redis, "store": self.store}
        self.keep = KeepDeadLetters(places, limit=LIMIT, clock=self.clock, record=self._record)
        self.handle = HandleDeadLetters(self.keep, self._record)

    def _record(self, kind: str, detail: EventDetail) -> None:
        self.events.append((kind, detail))

    def take(self, *keys: str, port: LetterPort = REGISTRY) -> None:
        for key in keys:
            self.keep.take(port, key, "refused", b'{"n": 1}', 2)

    def keys(self) -> tuple[list[str], list[str]]:
        """In Redis and in the store."""
        return [each.key for each in self.redis.letters], [each.key for each in self.store.letters]

    def level(self) -> Level:
        return self.keep.report().level

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.keep.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_letter_is_kept_in_redis_and_said(bench: Bench) -> None:
    async with bench.running():
        assert (bench.level(), bench.keep.report().sentence) == (Level.GREEN, "none")
        bench.take("a")
        await settle()

    assert bench.keys() == (["a"], [])
    assert bench.level() is Level.YELLOW
    assert bench.keep.report().sentence.startswith("1 letter in redis; chimera-s1 dead-letters")
    [(kind, detail)] = bench.events
    assert (kind, detail["key"], detail["place"]) == ("dead_letters.kept", "a", "redis")
    assert bench.keep.counters.kept[REGISTRY] == 1


@pytest.mark.parametrize(
    "failure", [REDIS_GONE, PublisherRefusedError("WRONGTYPE"), ConfigurationError("NOAUTH")]
)
async def test_where_redis_is_gone_the_store_keeps_it(
    bench: Bench, failure: PublisherUnavailableError | ConfigurationError
) -> None:
    """The list shows the letters of both; Redis is not asked for each letter."""
    async with bench.running():
        bench.take("before")
        await settle()
        bench.redis.failure = failure
        bench.take("a", "b")
        await settle()
        assert bench.redis.failed_calls == 1
        assert str(failure) in bench.keep.report().sentence
        bench.redis.failure = None
        await bench.clock.advance(FAILED_PLACE_REST_MS + COUNT_INTERVAL_MS)
        bench.take("after")
        await settle()
        page = await bench.handle.list_page("", 10)

    assert bench.keys() == (["before", "after"], ["a", "b"])
    assert [each.letter.key for each in page.letters] == ["before", "after", "a", "b"]
    assert not bench.keep.report().problems


async def test_where_both_are_gone_letters_wait_and_are_said(bench: Bench) -> None:
    bench.redis.failure, bench.store.failure = REDIS_GONE, STORE_GONE
    async with bench.running():
        bench.take("a", "b")
        await settle()
        assert bench.store.failed_calls >= 1
        report = bench.keep.report()
        assert (report.level, report.waiting, bench.keep.pending) == (Level.ORANGE, 2, 2)
        assert "2 letters in memory, lost at a stop" in report.sentence
        assert "store: ArangoDB: no reply" in report.sentence
        bench.store.failure = None
        await bench.clock.advance(2 * FAILED_PLACE_REST_MS)
        await settle()

    assert bench.keys() == ([], ["a", "b"])
    assert bench.keep.counters.lost == 0


async def test_the_oldest_letter_in_memory_is_lost_at_the_bound_and_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keep_dead_letters, "WAITING_MAX", 2)
    bench.redis.failure, bench.store.failure = REDIS_GONE, STORE_GONE
    bench.take("a", "b", "c")

    with pytest.raises(StoreUnavailableError):
        await bench.keep.flush()

    assert (bench.keep.pending, bench.keep.counters.lost) == (2, 1)
    assert "1 dead letters lost: instrument_registry a: no place" in caplog.text
    assert "1 letter lost since the start" in bench.keep.report().sentence


async def test_letters_pushed_out_by_newer_ones_are_counted_and_said_for_a_day(
    bench: Bench,
) -> None:
    async with bench.running():
        bench.take("a", "b", "c")
        await settle()
        assert bench.level() is Level.ORANGE  # full: the next one drops the oldest
        assert bench.keep.counters.lost == 0
        bench.take("d")
        await settle()
        assert bench.keep.counters.lost == 1
        for each in (await bench.handle.list_page("", 10)).letters:
            await bench.handle.drop(each.letter_id, "op")
        await settle()
    assert bench.level() is Level.ORANGE
    await bench.clock.advance(LOSS_SHOWN_MS)
    assert bench.level() is Level.GREEN


async def test_the_same_letter_is_kept_once_also_after_a_restart(bench: Bench) -> None:
    """And again once it was deleted, by this process or another one."""
    async with bench.running():
        bench.take("a", "a", "b")
        await settle()
    bench.restart()
    async with bench.running():
        bench.take("a")
        await settle()
        assert bench.keys() == (["a", "b"], [])
        await bench.redis.remove("1")
        bench.take("a")
        await settle()

    assert bench.keys() == (["b", "a"], [])


async def test_an_event_that_cannot_be_written_makes_no_event(bench: Bench) -> None:
    """It could not be written either, and would become a letter, and so on."""
    async with bench.running():
        bench.take("a", port=LetterPort.OPERATIONS_LOG)
        await settle()

    assert bench.keys() == (["a"], [])
    assert bench.events == []


async def test_a_payload_that_is_too_long_is_not_kept(bench: Bench) -> None:
    async def never(_: str) -> str:
        raise AssertionError

    bench.handle.register(REGISTRY, never)
    bench.keep.take(REGISTRY, "big", "refused", b"1" * (PAYLOAD_MAX + 1), 1)
    await bench.keep.flush()

    [letter] = bench.redis.letters
    assert letter.payload == ""
    assert letter.reason.endswith(f"(its payload of {PAYLOAD_MAX + 1} characters was not kept)")
    with pytest.raises(NotReplayableError, match="has no payload"):
        await bench.handle.replay("redis.1", "op")


async def test_a_replay_delivers_the_payload_and_deletes_the_letter(bench: Bench) -> None:
    delivered: list[str] = []

    async def deliver(payload: str) -> str:
        delivered.append(payload)
        return "written"

    bench.handle.register(REGISTRY, deliver)
    bench.take("a", "b")
    await bench.keep.flush()

    assert await bench.handle.replay("redis.1", "op/1") == "written"

    assert delivered == ['{"n": 1}']
    assert bench.keys() == (["b"], [])
    kind, detail = bench.events[-1]
    assert (kind, detail["key"], detail["actor"]) == ("dead_letters.replayed", "a", "op/1")
    with pytest.raises(UnknownLetterError):
        await bench.handle.replay("redis.1", "op")


@pytest.mark.parametrize("failure", [REDIS_GONE, STORE_GONE, ReplayFailedError("still refused")])
async def test_a_letter_that_is_not_delivered_stays(bench: Bench, failure: Exception) -> None:
    async def deliver(_: str) -> str:
        raise failure

    bench.handle.register(REGISTRY, deliver)
    bench.take("a")
    await bench.keep.flush()

    with pytest.raises(ReplayFailedError, match=str(failure)):
        await bench.handle.replay("redis.1", "op")

    assert bench.keys() == (["a"], [])
    assert bench.handle.replayed == 0


async def test_a_letter_that_cannot_be_deleted_after_its_delivery_is_said(bench: Bench) -> None:
    async def deliver(_: str) -> str:
        bench.redis.failure = REDIS_GONE
        return "written"

    bench.handle.register(REGISTRY, deliver)
    bench.take("a")
    await bench.keep.flush()

    with pytest.raises(StoreUnavailableError, match="redis: Redis: connection refused"):
        await bench.handle.replay("redis.1", "op")


async def test_a_letter_of_a_port_without_replay_says_so(bench: Bench) -> None:
    bench.take("perp * GAP 1", port=LetterPort.MARKET_STATUS)
    await bench.keep.flush()

    with pytest.raises(NotReplayableError, match="market_status cannot be replayed"):
        await bench.handle.replay("redis.1", "op")
    dropped = await bench.handle.drop("redis.1", "op")

    assert (dropped.letter.key, dropped.replayable) == ("perp * GAP 1", False)
    assert bench.keys() == ([], [])


async def test_pages_go_through_both_places(bench: Bench) -> None:
    bench.take("a", "b")
    await bench.keep.flush()
    bench.redis.failure = REDIS_GONE
    bench.take("c", "d")
    await bench.keep.flush()
    bench.redis.failure = None

    for size in (1, 2, 3, 4):
        seen: list[str] = []
        after = ""
        while True:
            page = await bench.handle.list_page(after, size)
            assert len(page.letters) <= size
            seen += [each.letter.key for each in page.letters]
            after = page.following
            if not after:
                break
        assert seen == ["a", "b", "c", "d"]


async def test_a_place_that_cannot_be_read_is_named_and_the_other_listed(bench: Bench) -> None:
    bench.redis.failure = REDIS_GONE
    bench.take("a")
    await bench.keep.flush()

    page = await bench.handle.list_page("", 10)

    assert [each.letter.key for each in page.letters] == ["a"]
    assert page.unreadable == {"redis": "Redis: connection refused"}
    with pytest.raises(StoreUnavailableError, match="dead letters in redis"):
        await bench.handle.find("redis.1")


@pytest.mark.parametrize("letter_id", ["", "redis", "redis.", "redis.9", "disk.1", "1", "store.x"])
async def test_an_id_that_names_no_letter_is_refused(bench: Bench, letter_id: str) -> None:
    bench.take("a")
    await bench.keep.flush()

    with pytest.raises(UnknownLetterError, match="dead-letters list"):
        await bench.handle.find(letter_id)
