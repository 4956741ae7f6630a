"""`/xchg/jobs` and `chimera-s1 jobs`: what ran, and running it now."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from chimera_s1.app.cli.jobs.run import print_jobs, run_and_print
from chimera_s1.app.service_settings import load_settings
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, serving
from tests.fakes.manual_clock import settle
from tests.fakes.token_store import MemoryTokenStore

OPERATOR_TOKEN, OPERATOR = make_token(
    "operator", b"o" * 32, actor="ops", scopes=[Scope.READ, Scope.JOBS_RUN], created_at=0
)
SAFETY_S = 240


@asynccontextmanager
async def jobs_running() -> AsyncIterator[tuple[WebParts, httpx2.AsyncClient]]:
    """The one job has run at the start; its clock stands still."""
    parts = WebParts(tokens=MemoryTokenStore([READER, OPERATOR]), only={"jobs", "health"})
    with anyio.fail_after(SAFETY_S):
        async with anyio.create_task_group() as tasks, parts.client() as client:
            tasks.start_soon(parts.jobs.run)
            await settle()
            client.headers["Authorization"] = f"Bearer {OPERATOR_TOKEN}"
            yield parts, client
            tasks.cancel_scope.cancel()


async def test_jobs_are_listed_with_their_last_run_and_their_next_one() -> None:
    """In health, too."""
    async with jobs_running() as (parts, client):
        listed = (await client.get("/xchg/jobs")).json()
        health = (await client.get("/health")).json()

    now_ms = parts.clock.now_ms()
    assert listed["jobs"] == health["jobs"]
    assert listed["jobs"] == [
        {
            "name": "clock.spot",
            "schedule": "every 10 s",
            "runs_on": "each",
            "owner": "s1-a",
            "last_run": now_ms,
            "duration_ms": 0,
            "result": "ok",
            "detail": "skew 3 ms",
            "failures": 0,
            "next_run": now_ms + 10_000,
        }
    ]


async def test_a_job_runs_on_request() -> None:
    async with jobs_running() as (parts, client):
        await parts.clock.advance(1_000)
        reply = await client.post("/xchg/jobs/clock.spot/run")
        await settle()
        [job] = (await client.get("/xchg/jobs")).json()["jobs"]

    assert reply.status_code == 202
    assert (reply.json()["name"], reply.json()["result"]) == ("clock.spot", "ok")
    assert job["last_run"] == reply.json()["last_run"] + 1_000


@pytest.mark.parametrize("name", ["scan", "CLOCK.SPOT", "clock.spot%0a", "%F0%9F%98%80"])
async def test_a_job_that_does_not_exist_is_answered_with_those_that_do(name: str) -> None:
    async with jobs_running() as (_, client):
        reply = await client.post(f"/xchg/jobs/{name}/run")

    assert (reply.status_code, reply.json()["code"]) == (404, "job.unknown")
    assert reply.json()["detail"].endswith("; the jobs are clock.spot")


async def test_running_a_job_needs_its_scope() -> None:
    async with jobs_running() as (_, client):
        client.headers["Authorization"] = f"Bearer {READER_TOKEN}"
        assert (await client.get("/xchg/jobs")).status_code == 200
        reply = await client.post("/xchg/jobs/clock.spot/run")

    assert (reply.status_code, reply.json()["code"]) == (403, "access.scope")


async def test_the_command_lists_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S1_TOKEN", OPERATOR_TOKEN)
    settings = load_settings({"S1_STATE_DIR": str(tmp_path)})
    async with jobs_running() as (parts, _), serving(parts) as server:
        await print_jobs(settings, server.url, as_json=False)

    assert capsys.readouterr().out.split("\t") == [
        "clock.spot",
        "every 10 s",
        "each",
        "s1-a",
        "1970-01-01T00:00:01.000Z",
        "ok",
        "1970-01-01T00:00:11.000Z",
        "skew 3 ms\n",
    ]


async def test_the_command_runs_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S1_TOKEN", OPERATOR_TOKEN)
    settings = load_settings({"S1_STATE_DIR": str(tmp_path)})
    async with jobs_running() as (parts, _), serving(parts) as server:
        await parts.clock.advance(1_000)
        succeeded = await run_and_print(settings, server.url, "clock.spot", 60.0)

    assert succeeded
    assert capsys.readouterr().out == "ok clock.spot: skew 3 ms (0 ms)\n"


async def test_the_command_names_the_jobs_that_exist(tmp_path: Path) -> None:
    """Exit code 2, from the process itself."""
    environ = {**os.environ, "S1_TOKEN": OPERATOR_TOKEN}
    command = (sys.executable, "-m", "chimera_s1", "jobs", "run", "scan")
    async with jobs_running() as (parts, _), serving(parts) as server:
        options = ("--url", server.url, "--state-dir", str(tmp_path))
        done = await anyio.run_process([*command, *options], check=False, env=environ)

    assert done.returncode == 2
    assert (
        "no job is called 'scan'; the jobs are clock.spot (404 job.unknown)" in done.stderr.decode()
    )
