"""`/xchg/dead-letters` and `chimera-s1 dead-letters`: what could not be delivered."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.operations.dead_letter import DeadLetter, LetterPort
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, serving
from tests.fakes.token_store import MemoryTokenStore

OPERATOR_TOKEN, OPERATOR = make_token(
    "operator", b"o" * 32, actor="ops", scopes=[Scope.READ, Scope.JOBS_RUN], created_at=0
)
TS = 1_772_514_460_893


def letter_of(port: LetterPort, key: str) -> DeadLetter:
    reason = "Redis 10.0.0.5:6379: WRONGTYPE Operation"
    payload = '{"event_id": "1"}'
    return DeadLetter(ts=TS, port=port.value, key=key, reason=reason, payload=payload, attempts=5)


@asynccontextmanager
async def letters_kept() -> AsyncIterator[tuple[WebParts, httpx2.AsyncClient]]:
    """One letter in Redis, one in the store that cannot be replayed."""
    parts = WebParts(tokens=MemoryTokenStore([READER, OPERATOR]), only={"dead letters"})

    async def deliver(payload: str) -> str:
        return f"written: {payload}"

    parts.letters.register(LetterPort.OPERATIONS_LOG, deliver)
    await parts.redis_letters.add(letter_of(LetterPort.OPERATIONS_LOG, "ws.lost 1"))
    await parts.store_letters.add(letter_of(LetterPort.MARKET_STATUS, "perp * GAP 1"))
    async with parts.client() as client:
        client.headers["Authorization"] = f"Bearer {OPERATOR_TOKEN}"
        yield parts, client


async def test_letters_of_both_places_are_listed_page_by_page() -> None:
    async with letters_kept() as (parts, client):
        first = (await client.get("/xchg/dead-letters?limit=1")).json()
        second = (await client.get(f"/xchg/dead-letters?after={first['next_after']}")).json()
        whole = (await client.get("/xchg/dead-letters/redis.1")).json()
        parts.redis_letters.failure = PublisherUnavailableError("Redis: connection refused")
        partial = (await client.get("/xchg/dead-letters")).json()
        unread = await client.get("/xchg/dead-letters/redis.1")

    [letter] = first["letters"]
    assert letter == {
        "letter_id": "redis.1",
        "ts": TS,
        "port": "operations_log",
        "key": "ws.lost 1",
        "reason": "Redis 10.0.0.5:6379: WRONGTYPE Operation",
        "attempts": 5,
        "replayable": True,
    }
    assert whole == {**letter, "payload": '{"event_id": "1"}'}
    assert [each["letter_id"] for each in second["letters"]] == ["store.1"]
    assert (second["next_after"], second["unreadable"]) == (None, [])
    assert [each["letter_id"] for each in partial["letters"]] == ["store.1"]
    assert partial["unreadable"] == [{"place": "redis", "problem": "Redis: connection refused"}]
    assert (unread.status_code, unread.json()["code"]) == (503, "store.unavailable")


async def test_a_replayed_letter_is_gone_and_the_actor_recorded() -> None:
    async with letters_kept() as (parts, client):
        reply = await client.post("/xchg/dead-letters/redis.1/replay")
        again = await client.post("/xchg/dead-letters/redis.1/replay")
        refused = await client.post("/xchg/dead-letters/store.1/replay")

    assert reply.status_code == 200
    assert reply.json() == {"letter_id": "redis.1", "done": 'written: {"event_id": "1"}'}
    assert (again.status_code, again.json()["code"]) == (404, "dead_letter.unknown")
    assert (refused.status_code, refused.json()["code"]) == (409, "dead_letter.not_replayable")
    assert parts.events[-1][1]["actor"] == "ops/operator"


async def test_replay_and_drop_need_their_scope() -> None:
    async with letters_kept() as (parts, client):
        client.headers["Authorization"] = f"Bearer {READER_TOKEN}"
        assert (await client.get("/xchg/dead-letters")).status_code == 200
        replies = [
            await client.post("/xchg/dead-letters/redis.1/replay"),
            await client.delete("/xchg/dead-letters/redis.1"),
        ]

    assert [reply.json()["code"] for reply in replies] == ["access.scope"] * 2
    assert len(parts.redis_letters.letters) == 1


@pytest.mark.parametrize("letter_id", ["redis.2", "disk.1", "1", "redis.%0a", "%F0%9F%98%80"])
async def test_an_id_that_names_no_letter_is_answered_with_how_to_find_one(letter_id: str) -> None:
    async with letters_kept() as (_, client):
        replies = [
            await client.get(f"/xchg/dead-letters/{letter_id}"),
            await client.post(f"/xchg/dead-letters/{letter_id}/replay"),
            await client.delete(f"/xchg/dead-letters/{letter_id}"),
        ]

    for reply in replies:
        assert (reply.status_code, reply.json()["code"]) == (404, "dead_letter.unknown")
        assert "chimera-s1 dead-letters list" in reply.json()["detail"]


async def run_command(url: str, directory: Path, *arguments: str) -> tuple[int, str, str]:
    environ = {**os.environ, "S1_TOKEN": OPERATOR_TOKEN, "COLUMNS": "80"}
    command = (sys.executable, "-m", "chimera_s1", "dead-letters", *arguments, "--url", url)
    done = await anyio.run_process(
        [*command, "--state-dir", str(directory)], check=False, env=environ
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_the_command_lists_shows_replays_and_drops(tmp_path: Path) -> None:
    async with letters_kept() as (parts, _), serving(parts) as server:
        done: dict[str, tuple[int, str, str]] = {}

        async def run(*arguments: str) -> None:
            done[arguments[0]] = await run_command(server.url, tmp_path, *arguments)

        async with anyio.create_task_group() as reads:
            reads.start_soon(run, "list")
            reads.start_soon(run, "show", "redis.1")
        async with anyio.create_task_group() as writes:
            writes.start_soon(run, "replay", "redis.1")
            writes.start_soon(run, "drop", "store.1")
        empty = await run_command(server.url, tmp_path, "list")

    why = "Redis 10.0.0.5:6379: WRONGTYPE Operation"
    at = "2026-03-03T05:07:40.893Z"
    assert done["list"][1].splitlines() == [
        f"redis.1\t{at}\toperations_log\tws.lost 1\t5\t{why}",
        f"store.1\t{at}\tmarket_status\tperp * GAP 1\t5\t{why}",
    ]
    assert done["show"][1].splitlines()[4:] == [
        f"reason    {why}",
        "attempts  5",
        "replay    possible",
        "{",
        '  "event_id": "1"',
        "}",
    ]
    assert done["replay"][:2] == (0, 'redis.1: written: {"event_id": "1"}\n')
    assert done["drop"][:2] == (0, "store.1: deleted; it was market_status perp * GAP 1\n")
    assert empty == (0, "", "no dead letters\n")
