"""Runs every worker in one task group; a worker that ends unexpectedly ends the process."""

import logging
import math
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

STOP_TIMEOUT_S = 15.0
"""How long workers that end by themselves may take before they are cancelled."""

_log = logging.getLogger(__name__)


class Worker(Struct, frozen=True):
    """A named piece of work that runs until cancelled or asked to stop.

    Attributes:
        name: For the message when it dies.
        run: The work.
        stop: Asks it to end by itself; None if it is simply cancelled.
    """

    name: str
    run: Callable[[], Awaitable[object]]
    stop: Callable[[], None] | None = None


class WorkerFailedError(Exception):
    """A worker raised, or returned although it should run for ever; the text names it."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        what = _describe(cause) if cause is not None else "it returned"
        super().__init__(f"worker {name} died: {what}")
        self.name = name


async def supervise(workers: tuple[Worker, ...], stop_requested: anyio.Event) -> None:
    """Run *workers* until *stop_requested* is set; let those with a `stop` end, cancel the rest.

    Raises:
        WorkerFailedError: One of them ended before; the others are cancelled.
    """
    names = [worker.name for worker in workers]
    assert len({*names}) == len(names), f"workers share a name: {sorted(names)}"
    died: list[WorkerFailedError] = []
    ended = {worker.name: anyio.Event() for worker in workers}
    async with anyio.create_task_group() as tasks:

        async def watch(worker: Worker) -> None:
            cause = await _run(worker)
            if cause is not None:
                _log.critical("worker %s died", worker.name, exc_info=cause)
            ended[worker.name].set()
            if cause is not None or not stop_requested.is_set():
                died.append(WorkerFailedError(worker.name, cause))
                tasks.cancel_scope.cancel()

        for worker in workers:
            tasks.start_soon(watch, worker, name=worker.name)
        await stop_requested.wait()
        with anyio.move_on_after(STOP_TIMEOUT_S):
            await _stop(workers, ended)
        tasks.cancel_scope.cancel()
    if died:
        raise died[0]


async def _run(worker: Worker) -> BaseException | None:
    """What *worker* died of; None where it returned."""
    try:
        await worker.run()
    except anyio.get_cancelled_exc_class() as error:
        if anyio.current_effective_deadline() == -math.inf:
            raise  # the supervisor is being cancelled, not only this worker
        return error
    except Exception as error:  # noqa: BLE001 (any failure must be named)
        return error
    return None


async def _stop(workers: tuple[Worker, ...], ended: dict[str, anyio.Event]) -> None:
    stopping = {worker.name: worker.stop for worker in workers if worker.stop is not None}
    for stop in stopping.values():
        stop()
    for name in stopping:
        await ended[name].wait()


def _describe(cause: BaseException) -> str:
    """The errors themselves, where a task group has wrapped them."""
    if isinstance(cause, BaseExceptionGroup):
        return "; ".join(map(_describe, cause.exceptions))
    return f"{type(cause).__name__}: {cause}"
