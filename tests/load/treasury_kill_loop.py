"""kill -9 of a service that moves money, at any moment, again and again: `make soak-kill`, or

    python -m tests.load.treasury_kill_loop --rounds 100 --seed 1

Clients keep asking, the exchange loses requests and replies, each life of the service begins on the
state directory of the one before it. In the end everything has to be decided, and the ledger, the
exchange's own books, `ops:events` and all that the clients were told have to agree.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.ledger import relay as relay_ledger
from chimera_s1.app.capabilities.ledger.stores import SQLITE_FILE, TREASURY_LEDGER
from chimera_s1.app.capabilities.treasury import project_transfers
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.open_transfers import OpenTransfers
from tests.contract.service_process import Service, service_process
from tests.contract.treasury_service import TreasuryDeployment, open_site
from tests.exchange_movements import status_by_transfer
from tests.load.machine import divide_cores
from tests.load.report import say
from tests.load.running import child
from tests.load.transfer_clients import CLIENTS, ClientHistory, FaultSchedule, ReplayingClient

KILL_AFTER_MS = (5, 500)
ANSWERS = (1, 15)
FAULT_SHARE = 0.5
LIFE_S = 5.0
"""A life in which nothing happens ends as well."""

CAPS = (100, 1_000, 10_000, 100_000)
"""What may be accepted in one life beyond what was before, USDT: some lives reach their cap."""

SETTLE_MS = 9_000
"""So long after a request a silent history proves that it was not executed: receive window,
execution, lag and margins of `QUICK`.
"""

DRAIN_S = 60.0
TOLD_EVERY = 10
SETTINGS = {
    "S1_RATE_LIMIT_PER_S": "10000",
    # What was relayed is relayed again at each start; the check wants all of it.
    "S1_OPS_MAXLEN": "10000000",
}
_LOOK_AGAIN_S = 0.1


class Follower:
    """Reads the ledger beside the service, or after its death.

    Attributes:
        entries: Up to the last look.

        book: What of them is open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: list[LedgerEntry] = []
        self.book = OpenTransfers()

    async def look(self) -> bool:
        """Take in what is new; whether everything is decided, relayed and projected."""
        if not self._path.exists():
            return False
        async with SqliteDatabase(self._path, read_only=True) as database:
            store, cursors = (
                SqliteEventStore(database, TREASURY_LEDGER),
                SqliteCursorStore(database),
            )
            while page := await store.read(len(self.entries), 1_000):
                self.entries += page
                for entry in page:
                    self.book.fold_commit(entry.commit)
            done_with = [
                await cursors.read(name)
                for name in (relay_ledger.RELAY_CURSOR, project_transfers.CURSOR)
            ]
        book = self.book
        busy = book.queued or book.unresolved or book.unverified
        return not busy and min(done_with) == len(self.entries)

    def phases(self) -> Counter[str]:
        """How many transfers are in which phase of those that are not over."""
        book = self.book
        open_now = (*book.queued.values(), *book.unresolved.values())
        return Counter(transfer.phase.value for transfer in open_now)

    @property
    def used(self) -> Decimal:
        """What is taken of today's cap."""
        return self.book.cap_on(utc_day(SystemClock().now_ms())).used


class KillLoopResult(Struct, frozen=True):
    """What came of it.

    Attributes:
        kills: How many lives ended by SIGKILL.

        hit: How many kills found a transfer in which phase.

        standings: How many transfers ended how, by the ledger.

        log: Of the last life.

        violations: What must not be.
    """

    kills: int
    hit: Counter[str]
    standings: Counter[str]
    moved: int
    memory: ClientHistory
    fired: Counter[str]
    log: str
    violations: list[str]


class KillLoop:
    """One run of it."""

    def __init__(self, site: TreasuryDeployment, seed: int) -> None:
        self._site = site
        self._draws = random.Random(seed)
        self._memory = ClientHistory()
        self._clients = ReplayingClient(self._draws, self._memory)
        self._weather = FaultSchedule(site, self._draws)
        self._ledger = Follower(site.state_dir / SQLITE_FILE)
        self._hit: Counter[str] = Counter()

    async def run(self, rounds: int) -> KillLoopResult:
        """Kill so often, let everything be decided, and judge."""
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(self._clients.ask)
            tasks.start_soon(self._weather.blow)
            for number in range(rounds):
                await self._live_and_die()
                if number % TOLD_EVERY == TOLD_EVERY - 1:
                    say(f"killed {number + 1} times, {self._memory.asked} transfers ...")
            tasks.cancel_scope.cancel()
        await self._weather.clear()
        await self._site.sim.control("POST", "/sim/clock", {"offset_ms": SETTLE_MS})
        async with self._life() as service:
            with anyio.move_on_after(DRAIN_S):  # what is open after that is a violation
                while not await self._ledger.look():  # noqa: ASYNC110 (another process writes it)
                    await anyio.sleep(_LOOK_AGAIN_S)
        return await self._judge(rounds, service.output)

    async def _live_and_die(self) -> None:
        async with self._life() as service:
            self._clients.connect(await service.url())
            with anyio.move_on_after(LIFE_S):
                await self._something_happened()
            await anyio.sleep(self._draws.uniform(*KILL_AFTER_MS) / 1000)
            self._clients.disconnect()
            service.process.kill()
            await service.ended()
        await self._weather.clear()
        await self._ledger.look()
        self._hit.update(self._ledger.phases().keys() or {"none"})

    async def _something_happened(self) -> None:
        """An answer or, as often, a fault: then its transfer is under way."""
        if self._draws.random() < FAULT_SHARE:
            await self._site.fired()
        else:
            await self._clients.answered(self._draws.randint(*ANSWERS))

    @asynccontextmanager
    async def _life(self) -> AsyncIterator[Service]:
        cap = self._ledger.used + self._draws.choice(CAPS)
        environ = self._site.environ(**SETTINGS, S1_TREASURY_DAILY_CAP=str(cap))
        async with service_process(self._site.state_dir, environ) as service:
            yield service

    async def _judge(self, kills: int, log: str) -> KillLoopResult:
        ended = status_by_transfer(self._ledger.entries)
        return KillLoopResult(
            kills=kills,
            hit=self._hit,
            standings=Counter(ended.values()),
            moved=len(await self._site.moved()),
            memory=self._memory,
            fired=self._weather.fired,
            log=log,
            violations=[*await self._site.violations(), *find_contradictions(self._memory, ended)],
        )


def find_contradictions(memory: ClientHistory, ended: dict[str, str]) -> Iterable[str]:
    """Answers that were not so in the end (I7)."""
    finals = {"OK": "DONE", "FAIL": "FAILED"}
    for key, answers in memory.results_by_key.items():
        for answer in answers:
            if key not in ended or finals.get(answer, ended[key]) != ended[key]:
                yield f"I7 {key} was told {answer}, and is {ended.get(key, 'not in the ledger')}"
    for key in memory.rejected:
        if ended.get(key) != "REJECTED":
            yield f"I7 {key} was told a rule refuses it, and is {ended.get(key)}"


async def kill_loop(directory: Path, rounds: int, seed: int) -> KillLoopResult:
    """A run with a simulator and a Redis of its own."""
    async with (
        child(divide_cores().sender, "tests.load.large_exchange") as exchange,
        EmbeddedRedis(directory / "redis", binary=find_redis_server("")) as redis,
        open_site(directory, redis.nodes[0], await exchange.line()) as site,
    ):
        return await KillLoop(site, seed).run(rounds)


def print_result(verdict: KillLoopResult, seed: int) -> None:
    """Print it."""
    memory = verdict.memory
    say(f"seed {seed}, {verdict.kills} times kill -9, which found transfers {_counts(verdict.hit)}")
    say(f"{memory.asked} transfers, {_counts(verdict.standings)}; {verdict.moved} movements")
    say(f"answers {_counts(memory.statuses)}, {memory.lost} lost; faults {_counts(verdict.fired)}")
    if verdict.violations:
        say(verdict.log)
    for violation in verdict.violations:
        say(f"  {violation}")
    say(f"{len(verdict.violations)} violations" if verdict.violations else "every invariant held")


def _counts(counter: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.treasury_kill_loop")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="chimera-kill-loop-") as name:
        verdict = anyio.run(kill_loop, Path(name), options.rounds, options.seed)
    print_result(verdict, options.seed)
    sys.exit(1 if verdict.violations else 0)


if __name__ == "__main__":
    main()
