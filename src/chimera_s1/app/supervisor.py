"""
Supervision: every worker runs in one task group; one that ends unplanned ends the process.
"""

import logging
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

_log = logging.getLogger(__name__)


class Worker(Struct, frozen=True):
    """
    A named piece of work that runs until cancelled.
    """

    name: str
    run: Callable[[], Awaitable[object]]


class WorkerDiedError(Exception):
    """
    A worker raised, or returned although it should run for ever; the text names it.
    """

    def __init__(self, name: str, cause: BaseException | None) -> None:
        what = f"{type(cause).__name__}: {cause}" if cause is not None else "it returned"
        super().__init__(f"worker {name} died: {what}")
        self.name = name


async def supervise(workers: tuple[Worker, ...], until: anyio.Event) -> None:
    """
    Run *workers* until *until* is set, then cancel them.

    Raises:
        WorkerDiedError: One of them ended before; the others are cancelled.
    """
    died: list[WorkerDiedError] = []
    async with anyio.create_task_group() as tasks:

        async def watch(worker: Worker) -> None:
            cause: BaseException | None = None
            try:
                await worker.run()
            except Exception as error:  # noqa: BLE001 (whatever it is, it must be named)
                cause = error
                _log.critical("worker %s died", worker.name, exc_info=error)
            died.append(WorkerDiedError(worker.name, cause))
            tasks.cancel_scope.cancel()

        for worker in workers:
            tasks.start_soon(watch, worker, name=worker.name)
        await until.wait()
        tasks.cancel_scope.cancel()
    if died:
        raise died[0]
