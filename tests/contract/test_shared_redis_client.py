"""One client of a cluster, used by many tasks while the node that they use dies and returns."""

from pathlib import Path

import anyio

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.kill_switch import RedisKillSwitch
from chimera_s1.domain.errors import PublisherUnavailableError
from tests.time_limits import TIMEOUT_S

TASKS = 8
ROUNDS = 2


class Callers:
    """Tasks that read the kill switch again and again, and what their last reads gave."""

    def __init__(self, switch: RedisKillSwitch) -> None:
        self._switch = switch
        self._answered: list[bool] = [True] * TASKS
        self._changed = anyio.Event()

    async def call(self, number: int) -> None:
        while True:
            try:
                await self._switch.read()
                answered = True
            except PublisherUnavailableError:
                answered = False
            if answered is not self._answered[number]:
                self._answered[number] = answered
                self._changed.set()
                self._changed = anyio.Event()

    async def wait_until_all(self, *, answered: bool) -> None:
        with anyio.fail_after(TIMEOUT_S):
            while self._answered != [answered] * TASKS:
                await self._changed.wait()


async def test_many_tasks_get_only_known_errors_while_a_node_restarts(
    redis_binary: Path, tmp_path: Path
) -> None:
    """redis-py closes a connection under the task that opens it; no worker may die of that."""
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        connect_cluster(embedded.addresses) as client,
        anyio.create_task_group() as tasks,
    ):
        callers = Callers(RedisKillSwitch(client, timeout_s=0.3))
        for number in range(TASKS):
            tasks.start_soon(callers.call, number)
        for _ in range(ROUNDS):
            await embedded.nodes[0].kill()
            await callers.wait_until_all(answered=False)
            await embedded.nodes[0].start()
            await callers.wait_until_all(answered=True)
        tasks.cancel_scope.cancel()
