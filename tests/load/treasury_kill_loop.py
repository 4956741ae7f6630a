"""Repeated kill -9 of a service that moves money, at random moments: `make soak-kill`, or

    python -m tests.load.treasury_kill_loop --rounds 100 --seed 1

Clients keep sending, the exchange loses requests and replies, and each service starts on the state
directory of the last one. At the end every transfer must be decided, and the ledger, the exchange's
movements, `ops:events` and the replies to the clients must agree.
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
from chimera_s1.app.capabilities.treasury.project_transfers import PROJECTION_CURSOR
from chimera_s1.app.capabilities.treasury.relay_transfers import RELAY_CURSOR
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.stores import SQLITE_FILE
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.open_transfers import OpenTransfers
from tests.contract.service_process import Service, service_process
from tests.contract.treasury_service import TreasuryDeployment, open_site
from tests.exchange_movements import status_by_transfer
from tests.load.machine import divide_cores
from tests.load.processes import child
from tests.load.report import say
from tests.load.transfer_clients import CLIENTS, ClientHistory, FaultSchedule, ReplayingClient

KILL_AFTER_MS = (5, 500)
ANSWERS = (1, 15)
FAULT_SHARE = 0.5
RUN_MAX_S = 5.0
"""A service without any activity is killed after this time."""

CAPS = (100, 1_000, 10_000, 100_000)
"""Additional USDT that one service may accept; some services reach their cap."""

SETTLE_MS = 9_000
"""Time after which absence from the history proves that a request was not executed: receive window,
execution, lag and margins of `QUICK`.
"""

DRAIN_S = 60.0
PROGRESS_EVERY = 10
SETTINGS = {
    "S1_RATE_LIMIT_PER_S": "10000",
    # Each start may relay events again; the check needs all of them.
    "S1_OPS_MAXLEN": "10000000",
}
_POLL_INTERVAL_S = 0.1


class LedgerFollower:
    """Reads the ledger while the service runs or after it was killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: list[LedgerEntry] = []
        self.open_transfers = OpenTransfers()

    async def catch_up(self) -> bool:
        """Read new entries; true if everything is decided, relayed and projected."""
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
                    self.open_transfers.fold_commit(entry.commit)
            cursors_at = [await cursors.read(name) for name in (RELAY_CURSOR, PROJECTION_CURSOR)]
        return self.open_transfers_are_decided and min(cursors_at) == len(self.entries)

    @property
    def open_transfers_are_decided(self) -> bool:
        state = self.open_transfers
        return not (state.queued or state.unresolved or state.unverified)

    def phases(self) -> Counter[str]:
        """Number of open transfers by phase."""
        state = self.open_transfers
        transfers = (*state.queued.values(), *state.unresolved.values())
        return Counter(transfer.phase.value for transfer in transfers)

    @property
    def used(self) -> Decimal:
        return self.open_transfers.cap_on(utc_day(SystemClock().now_ms())).used


class KillLoopResult(Struct, frozen=True):
    """Result of a run.

    Attributes:
        phases_at_kill: Number of kills with a transfer in each phase.
        final_statuses: Number of transfers by final status in the ledger.
        log: Output of the last service.
    """

    kills: int
    phases_at_kill: Counter[str]
    final_statuses: Counter[str]
    moved: int
    history: ClientHistory
    fired: Counter[str]
    log: str
    violations: list[str]


class KillLoop:
    def __init__(self, deployment: TreasuryDeployment, seed: int) -> None:
        self._deployment = deployment
        self._chance = random.Random(seed)
        self._history = ClientHistory()
        self._clients = ReplayingClient(self._chance, self._history)
        self._faults = FaultSchedule(deployment, self._chance)
        self._ledger = LedgerFollower(deployment.state_dir / SQLITE_FILE)
        self._phases_at_kill: Counter[str] = Counter()

    async def run(self, rounds: int) -> KillLoopResult:
        """Kill *rounds* times, wait until everything is decided, and check the result."""
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(self._clients.run)
            tasks.start_soon(self._faults.inject)
            for number in range(rounds):
                await self._run_and_kill()
                if number % PROGRESS_EVERY == PROGRESS_EVERY - 1:
                    say(f"killed {number + 1} times, {self._history.requested} transfers ...")
            tasks.cancel_scope.cancel()
        await self._faults.clear()
        await self._deployment.sim.control("POST", "/sim/clock", {"offset_ms": SETTLE_MS})
        async with self._service() as service:
            with anyio.move_on_after(DRAIN_S):  # what is open after that is a violation
                while not await self._ledger.catch_up():  # noqa: ASYNC110 (another process writes it)
                    await anyio.sleep(_POLL_INTERVAL_S)
        return await self._result(rounds, service.output)

    async def _run_and_kill(self) -> None:
        async with self._service() as service:
            self._clients.connect(await service.url())
            with anyio.move_on_after(RUN_MAX_S):
                await self._wait_for_activity()
            await anyio.sleep(self._chance.uniform(*KILL_AFTER_MS) / 1000)
            self._clients.disconnect()
            service.process.kill()
            await service.ended()
        await self._faults.clear()
        await self._ledger.catch_up()
        self._phases_at_kill.update(self._ledger.phases().keys() or {"none"})

    async def _wait_for_activity(self) -> None:
        """Wait for replies or, as often, for a fault, which leaves a transfer in flight."""
        if self._chance.random() < FAULT_SHARE:
            await self._deployment.fired()
        else:
            await self._clients.answered(self._chance.randint(*ANSWERS))

    @asynccontextmanager
    async def _service(self) -> AsyncIterator[Service]:
        cap = self._ledger.used + self._chance.choice(CAPS)
        environ = self._deployment.environ(**SETTINGS, S1_TREASURY_DAILY_CAP=str(cap))
        async with service_process(self._deployment.state_dir, environ) as service:
            yield service

    async def _result(self, kills: int, log: str) -> KillLoopResult:
        statuses = status_by_transfer(self._ledger.entries)
        return KillLoopResult(
            kills=kills,
            phases_at_kill=self._phases_at_kill,
            final_statuses=Counter(statuses.values()),
            moved=len(await self._deployment.moved()),
            history=self._history,
            fired=self._faults.fired,
            log=log,
            violations=[
                *await self._deployment.violations(),
                *find_contradictions(self._history, statuses),
            ],
        )


def find_contradictions(history: ClientHistory, statuses: dict[str, str]) -> Iterable[str]:
    """Replies that contradict the ledger (I7)."""
    finals = {"OK": "DONE", "FAIL": "FAILED"}
    for key, answers in history.results_by_key.items():
        for answer in answers:
            if key not in statuses or finals.get(answer, statuses[key]) != statuses[key]:
                status = statuses.get(key, "not in the ledger")
                yield f"I7 the reply for {key} was {answer}, but it is {status}"
    for key in history.rejected:
        if statuses.get(key) != "REJECTED":
            yield f"I7 the reply for {key} was a refusal by rule, but it is {statuses.get(key)}"


async def kill_loop(directory: Path, rounds: int, seed: int) -> KillLoopResult:
    """A run with its own simulator and Redis."""
    async with (
        child(divide_cores().sender, "tests.load.large_exchange") as exchange,
        EmbeddedRedis(directory / "redis", binary=find_redis_server("")) as redis,
        open_site(directory, redis.nodes[0], await exchange.line()) as deployment,
    ):
        return await KillLoop(deployment, seed).run(rounds)


def print_result(result: KillLoopResult, seed: int) -> None:
    history = result.history
    say(
        f"seed {seed}, {result.kills} times kill -9; phases of open transfers at the kills: "
        f"{_counts(result.phases_at_kill)}"
    )
    say(
        f"{history.requested} transfers, {_counts(result.final_statuses)}; {result.moved} movements"
    )
    say(f"answers {_counts(history.statuses)}, {history.lost} lost; faults {_counts(result.fired)}")
    if result.violations:
        say(result.log)
    for violation in result.violations:
        say(f"  {violation}")
    say(f"{len(result.violations)} violations" if result.violations else "every invariant held")


def _counts(counter: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.treasury_kill_loop")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="chimera-kill-loop-") as name:
        result = anyio.run(kill_loop, Path(name), options.rounds, options.seed)
    print_result(result, options.seed)
    sys.exit(1 if result.violations else 0)


if __name__ == "__main__":
    main()
