"""Faults at a chosen port call: it fails before or after its effect, the process crashes, or the
calling task is cancelled.
"""

import inspect
from collections import Counter
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from chimera_s1.app.capabilities.treasury.accept_transfers import TransferOutcome, TransferRequest
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeUnavailableError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown, RequestNotSent
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, untyped

RESTART_MS = 1_000
RETRY_MS = 700
PORTS = {
    "store": StoreUnavailableError,
    "gateway": ExchangeUnavailableError,
    "leases": StoreUnavailableError,
    "cursors": StoreUnavailableError,
    "projection": StoreUnavailableError,
    "operations": PublisherUnavailableError,
}
_scope: ContextVar[anyio.CancelScope] = ContextVar("scope")


class FaultAction(StrEnum):
    ERROR_BEFORE = "error before"
    ERROR_AFTER = "error after"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    CANCEL_BEFORE = "cancel before"
    CANCEL_AFTER = "cancel after"


class Crash(BaseException):
    """The process has crashed; a `BaseException`, so that no handler catches it."""


class ProcessLifetime:
    """One process; after its end every port call raises `Crash`."""

    def __init__(self) -> None:
        self.over = False
        self.scope = anyio.CancelScope()

    def check(self) -> None:
        if self.over:
            raise Crash

    def end(self) -> None:
        self.over = True
        self.scope.cancel()
        raise Crash


class FaultInjector:
    """Injects one fault at one port call, and counts all calls."""

    def __init__(self, how: FaultAction | None = None, at: int = 1, kind: str = "") -> None:
        """Args:
        how: None injects nothing.
        at: The call's number, from 1.
        kind: Counts only these calls, `store.append`; empty counts all.
        """
        self.how = how
        self.at = at
        self.kind = kind
        self.calls: Counter[str] = Counter()
        self.sequence: list[str] = []
        self.fired = ""

    def fault_for(self, kind: str) -> FaultAction | None:
        self.calls[kind] += 1
        self.sequence.append(kind)
        counted = self.calls[kind] if self.kind else self.calls.total()
        if self.fired or self.kind not in {"", kind} or counted != self.at:
            return None
        self.fired = kind
        return self.how


class FaultyPort:
    """A port of one process; a fault can be injected at any of its calls."""

    def __init__(
        self, name: str, port: object, faults: FaultInjector, life: ProcessLifetime
    ) -> None:
        self._name = name
        self._port = port
        self._faults = faults
        self._life = life

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: object, **named: object) -> object:
            self._life.check()
            how = self._faults.fault_for(f"{self._name}.{method}")
            await self._before(how)
            failed = self._failure(method, "before") if how is FaultAction.ERROR_BEFORE else None
            result = failed or await found(*args, **named)
            await self._after(how)
            self._life.check()
            return self._failure(method, "after") if how is FaultAction.ERROR_AFTER else result

        return call

    async def _before(self, how: FaultAction | None) -> None:
        if how is FaultAction.CRASH_BEFORE:
            self._life.end()
        if how is FaultAction.CANCEL_BEFORE:
            _scope.get().cancel()
            await checkpoint()

    async def _after(self, how: FaultAction | None) -> None:
        if how is FaultAction.CRASH_AFTER:
            self._life.end()
        if how is FaultAction.CANCEL_AFTER:
            _scope.get().cancel()
            await checkpoint()

    def _failure(self, method: str, when: str) -> object:
        if method == "submit":
            return (
                RequestNotSent("refused")
                if when == "before"
                else ReplyUnknown("the reply was lost")
            )
        error: type[ChimeraError] = PORTS[self._name]
        raise error(f"{self._name}.{method} failed {when} its effect")


class RestartingInstance:
    """An instance that is restarted a second after its end, on the same stores."""

    def __init__(self, world: TreasuryHarness, faults: FaultInjector) -> None:
        self.world = world
        self.faults = faults
        self.restarts = 0
        self.instance: TreasuryInstance | None = None
        self._started = anyio.Event()

    async def run(self) -> None:
        while True:
            life = ProcessLifetime()
            try:
                await self._live(life)
            except BaseExceptionGroup as group:
                if group.split(Crash)[1] is not None:
                    raise
            self.instance = None
            self._started = anyio.Event()
            self.restarts += 1
            await self.world.clock.sleep_ms(RESTART_MS)

    async def _live(self, life: ProcessLifetime) -> None:
        world = self.world
        async with anyio.create_task_group() as tasks:
            life.scope = tasks.cancel_scope
            _scope.set(tasks.cancel_scope)

            def port(name: str, real: object) -> Any:
                return untyped(FaultyPort(name, real, self.faults, life))

            self.instance = TreasuryInstance(
                world,
                store=port("store", world.store),
                gateway=port("gateway", world.gateway),
                leases=port("leases", world.leases),
                cursors=port("cursors", world.cursors),
                projection=port("projection", world.projection),
                operations=port("operations", world.operations),
            )
            self.instance.start_all(tasks)
            self._started.set()

    async def request(self, request: TransferRequest) -> TransferOutcome:
        """Send it with the same key until there is an answer, as a client does."""
        while True:
            if self.instance is None:
                await self._started.wait()
            assert self.instance is not None
            with anyio.CancelScope() as scope:
                _scope.set(scope)
                try:
                    return await self.instance.requests.accept(request, "client")
                except (StoreUnavailableError, Crash):
                    pass
            await self.world.clock.sleep_ms(RETRY_MS)

    async def request_and_run(self, request: TransferRequest, for_ms: float) -> TransferOutcome:
        """Send it, run for a while, and end without a shutdown."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.run)
            answer = await self.request(request)
            await self.world.clock.sleep_ms(for_ms)
            tasks.cancel_scope.cancel()
        return answer
