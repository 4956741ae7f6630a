"""Dead letters of a real service: an event that Redis refuses, and events that a stop without Redis
leaves.
"""

from pathlib import Path
from typing import Any

import httpx2
import msgspec

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.dead_letters import SqliteDeadLetters
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.ports.operations_log import OperationsEvent
from tests.contract.service_process import (
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

TOKEN, RECORD = make_token(
    "operator", b"o" * 32, actor="ops", scopes=[Scope.READ, Scope.JOBS_RUN], created_at=0
)


async def test_an_event_that_redis_refuses_is_delivered_by_a_replay_after_the_repair(
    tmp_path: Path, redis_binary: Path
) -> None:
    write_token_file(tmp_path / "tokens.json", [RECORD])
    async with (
        simulator_process("--symbols", "BTCUSDT") as simulator,
        EmbeddedRedis(tmp_path / "redis", binary=redis_binary) as cluster,
        redis_at(cluster.addresses[0].port) as redis,
    ):
        environ = {
            **simulated(simulator.ready, "spot/BTCUSDT"),
            "S1_VENUES": "spot",
            "S1_REDIS_ADDRESSES": str(cluster.addresses[0]),
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
        }
        state_dir = tmp_path / "state"
        async with service_process(state_dir, environ) as service:
            url = await service.url()
            letters = StreamReader(redis, "dlq:s1")
            await redis.set("ops:events", "written by another program")
            await redis.set("kill_switch", "on")
            letter_id, letter = await _letter_of(letters, "kill_switch.changed")
            assert letter["port"] == "operations_log"
            assert "WRONGTYPE" in letter["reason"]

            path = f"/xchg/dead-letters/redis.{letter_id}/replay"
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S) as http:
                health = (await http.get("/health")).json()
                refused = await http.post(path)
                await redis.delete("ops:events")
                done = await http.post(path)
            levels = {each["name"]: each["level"] for each in health["components"]}
            assert levels["dead_letters"] == "YELLOW"
            assert (refused.status_code, done.status_code) == (409, 200)
            assert "WRONGTYPE" in refused.json()["detail"]

            sent = msgspec.json.decode(letter["payload"], type=OperationsEvent)
            assert sent.event_id in [each["event_id"] for each in await _events(redis)]
            assert await redis.xrange("dlq:s1", letter_id, letter_id) == []

            await cluster.nodes[0].stop()
            assert await service.stop() == 0

        async with SqliteDatabase(state_dir / "s1.sqlite3") as database:
            kept = await SqliteDeadLetters(database, limit=1_000).page()
        assert "service.stopped" in [each.letter.key.partition(" ")[0] for each in kept]


async def _letter_of(letters: StreamReader, kind: str) -> tuple[str, dict[str, str]]:
    while True:
        letter_id, fields = await letters.next()
        if fields["key"].startswith(f"{kind} "):
            return letter_id, fields


async def _events(redis: Any) -> list[dict[str, Any]]:
    entries = await redis.xrange("ops:events")
    return [msgspec.json.decode(fields["detail_json"]) for _, fields in entries]
