"""A seeded simulation around the real use cases: an exchange in wallet mode, lost replies, lagging
histories, paused and crashed processes, clock errors, two instances on one ledger.

    python -m tests.load.treasury_model --seeds 200000 --processes 2

Time is virtual and chance comes from the seed, so a failing seed fails again. Four variants with a
mistake show that the model detects it.
"""

import argparse
import logging
import random
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from enum import StrEnum
from functools import partial

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from chimera_s1.app.capabilities.treasury.execute_transfers import (
    ExecuteTransfers,
    SubmissionPolicy,
)
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown, SignedTransfer, SubmissionReply
from chimera_s1.domain.treasury.commands import StartSubmission
from chimera_s1.domain.treasury.open_transfers import OpenTransfers
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming, client_id_of
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus
from tests.fakes.treasury_gateway import ScriptedSignedTransfer
from tests.load.model_exchange import (
    EXECUTION_MS,
    LAG_MS,
    RECV_MS,
    SKEW_MS,
    Crash,
    CrashablePort,
    ModelExchange,
    ModelFault,
    ModelGateway,
    SimulatedProcess,
)
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, transfer_request, untyped
from tests.treasury_invariants import violations_of
from tests.virtual_time import run_on_virtual_time

HORIZON_MS = 4_000_000
POLL_INTERVAL_MS = 4_000
TIMING = ReconciliationTiming(
    execution_ms=EXECUTION_MS, history_lag_ms=LAG_MS, clean_reads=3, clean_spread_ms=4_000
)
NO_MARGINS = ReconciliationTiming(
    execution_ms=0, history_lag_ms=0, clean_reads=1, clean_spread_ms=0
)


class Variant(StrEnum):
    """Our code, or our code with one mistake."""

    OURS = "ours"
    EARLY = "early FAILED"
    RESEND = "re-send"
    RESIGN = "re-sign"
    NO_BLOCK = "no same-amount block"


class ResendingExecutor(ExecuteTransfers):
    """Mistake: sends again after an unknown reply."""

    async def _send(self, signed: SignedTransfer, command: StartSubmission) -> SubmissionReply:
        reply = await super()._send(signed, command)
        if isinstance(reply, ReplyUnknown):
            assert isinstance(signed, ScriptedSignedTransfer)
            order = replace(signed.order, signed_at=round(self._exchange_ms()))
            return await self._gateway.submit(self._gateway.sign(order))
        return reply


class UnguardedExecutor(ExecuteTransfers):
    """Mistake: sends while a transfer of the same amount is unresolved."""

    def _lookalike_in_flight(self, transfer: Transfer) -> bool:
        del transfer
        return False


class UnguardedOpenTransfers(OpenTransfers):
    """The same mistake in the decision."""

    def lookalikes(self, transfer: Transfer) -> tuple[TransferId, ...]:
        del transfer
        return ()


class Model:
    def __init__(self, seed: int, variant: Variant) -> None:
        self.variant = variant
        self.chance = random.Random(seed)
        self.world = TreasuryHarness(seed=seed)
        self.world.timing = NO_MARGINS if variant is Variant.EARLY else TIMING
        self.world.policy = SubmissionPolicy(
            recv_window_ms=RECV_MS, poll_interval_ms=POLL_INTERVAL_MS
        )
        self.exchange = ModelExchange(self.world.clock, self.chance)
        self.skews = [self.chance.uniform(-SKEW_MS, SKEW_MS) * 0.9 for _ in range(2)]
        self.names = [f"t{number}" for number in range(4)]
        self.requests = [
            transfer_request(name, self.chance.choice([10, 10, 25])) for name in self.names
        ]
        self.crashes = 0

    async def run(self) -> list[str]:
        async with anyio.create_task_group() as tasks:
            for skew_ms in self.skews:
                tasks.start_soon(self._restart_forever, tasks, skew_ms)
            for each in self.requests:
                tasks.start_soon(self._request, each)
            with anyio.move_on_after(HORIZON_MS / 1000):
                await self._wait_until_closed()
            tasks.cancel_scope.cancel()
        return await self._violations()

    async def _request(self, request: object) -> None:
        await self.world.clock.sleep_ms(self.chance.uniform(0, 6_000))
        instance = TreasuryInstance(self.world)
        await instance.requests.accept(untyped(request), "model")

    async def _restart_forever(self, tasks: TaskGroup, skew_ms: float) -> None:
        """One of the two instances: runs, crashes, and is started again."""
        while True:
            process = SimulatedProcess(tasks, skew_ms)
            try:
                await self._run_process(process)
            except BaseExceptionGroup as group:
                if group.split(Crash)[1] is not None:
                    raise
                self.crashes += 1
            await self.world.clock.sleep_ms(self.chance.uniform(1_000, 30_000))

    async def _run_process(self, process: SimulatedProcess) -> None:
        re_signs = self.variant is Variant.RESIGN
        executors = {
            Variant.RESEND: ResendingExecutor,
            Variant.NO_BLOCK: UnguardedExecutor,
        }
        instance = TreasuryInstance(
            self.world,
            store=untyped(CrashablePort(self.world.store, process)),
            gateway=ModelGateway(self.exchange, process, re_signs=re_signs),
            leases=untyped(CrashablePort(self.world.leases, process)),
            executor=executors.get(self.variant, ExecuteTransfers),
            skew_ms=process.skew_ms,
        )
        if self.variant is Variant.NO_BLOCK:
            instance.ledger.open_transfers = UnguardedOpenTransfers()
        async with anyio.create_task_group() as tasks:
            instance.start(tasks)

    async def _wait_until_closed(self) -> None:
        observer = TreasuryInstance(self.world)
        while True:
            await self.world.clock.sleep_ms(10_000)
            await observer.ledger.catch_up()
            state = observer.ledger.open_transfers
            accepted = state.head.seq >= len(self.requests)
            if accepted and not (state.queued or state.unresolved or state.unverified):
                found = [await observer.ledger.find(each.transfer_id) for each in self.requests]
                if all(found):
                    return

    async def _violations(self) -> list[str]:
        found = await violations_of(self.world.store)
        ledger = TreasuryInstance(self.world).ledger
        for each in self.requests:
            transfer = await ledger.find(each.transfer_id)
            found += self._violations_of(transfer) if transfer is not None else ["never accepted"]
        return found

    def _violations_of(self, transfer: Transfer) -> Iterable[str]:
        own = [
            each
            for each in self.exchange.executed
            if each.order.client_id
            in {client_id_of(transfer.transfer_id, n) for n in range(transfer.attempt + 1)}
        ]
        if len(own) > 1:
            yield "executed twice"
        if transfer.status is TransferStatus.FAILED and own:
            yield "FAILED but executed"
        if transfer.status is TransferStatus.DONE:
            if not own:
                yield "DONE but not executed"
            elif transfer.tran_id not in {each.movement.tran_id for each in own}:
                yield "DONE by another's movement"
            if transfer.corrected:
                yield "called FAILED although it was executed"
        if transfer.status is TransferStatus.PENDING:
            yield "not decided"
        if transfer.disputed:
            yield "disputed"


def violations(
    seed: int, variant: Variant = Variant.OURS, faults: Counter[ModelFault] | None = None
) -> list[str]:
    """The violations found with *seed*; the faults that happened are added to *faults*."""
    model = Model(seed, variant)
    found = run_on_virtual_time(model.run)
    if faults is not None:
        faults.update(model.exchange.faults)
    return found


def _failing(variant: Variant, seed: int) -> tuple[int, list[str]]:
    return seed, violations(seed, variant)


def main() -> int:
    """Run many seeds of each variant and print the violations; returns the exit code."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--mutant-seeds", type=int, default=200)
    options = parser.parse_args()
    failed = False
    with ProcessPoolExecutor(options.processes) as pool:
        for variant in Variant:
            count = options.seeds if variant is Variant.OURS else options.mutant_seeds
            seeds = range(options.first, options.first + count)
            found: Counter[str] = Counter()
            bad: list[int] = []
            for seed, wrong in pool.map(partial(_failing, variant), seeds, chunksize=50):
                found.update(wrong)
                bad += [seed] if wrong else []
            sys.stdout.write(
                f"{variant.value:22} {count:7} seeds  {len(bad):6} wrong  "
                f"{dict(found) or 'no violation'}  {bad[:5] or ''}\n"
            )
            sys.stdout.flush()
            failed |= bool(bad) is (variant is Variant.OURS)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
