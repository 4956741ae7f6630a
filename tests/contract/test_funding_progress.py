"""`chimera-s1 funding backfill` and `funding gaps` against the HTTP API."""

import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from anyio.streams.text import TextReceiveStream

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.app.capabilities.funding.find_gaps import FRESH_MS
from chimera_s1.app.cli import application as cli
from chimera_s1.app.cli.funding import backfill
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.contract.test_jobs_api import OPERATOR, OPERATOR_TOKEN
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, serving
from tests.fakes.backfill import REQUESTED_AT, progress_of
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_instruments import registry_row

SAFETY_S = 120
HOUR_MS = 3_600_000
BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def parts() -> WebParts:
    return WebParts(tokens=MemoryTokenStore([READER, OPERATOR]), only={"funding"})


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Exit code, standard output and standard error of `chimera-s1 funding`."""
    monkeypatch.setenv("S1_TOKEN", OPERATOR_TOKEN)
    monkeypatch.setenv("S1_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(backfill, "POLL_MS", 1)

    def command(*arguments: str) -> int:
        try:
            return cli.run_command(["funding", *arguments])
        except SystemExit as ended:
            return int(ended.code or 0)

    async def run(url: str, *arguments: str) -> tuple[int, str, str]:
        # In a thread: the command has a loop of its own.
        with anyio.fail_after(SAFETY_S):
            code = await to_thread.run_sync(partial(command, *arguments, "--url", url))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


async def test_a_backfill_is_waited_for(parts: WebParts, run: Run) -> None:
    """Through a problem of the exchange, which the service itself gets over."""
    parts.backfills.progress = None
    parts.backfills.later = [
        progress_of(31, 10),
        progress_of(31, 10, problem="the exchange answers 503"),
        progress_of(31, 31, rows=2_790),
    ]
    async with serving(parts) as server:
        result = await run(server.url, "backfill", "--days", "31")

    assert result == (
        0,
        (
            "funding of 31 days is read: 2026-10-29 00:00 to 2026-11-29 00:00 UTC, 2790 new or "
            "completed records, 31 requests\n"
        ),
        "",
    )


async def test_a_backfill_that_goes_on_is_shown_from_where_it_is(parts: WebParts, run: Run) -> None:
    """It covers more days than are asked for."""
    parts.backfills.progress = progress_of(90, 80)
    parts.backfills.later = [progress_of(90, 90)]
    async with serving(parts) as server:
        code, out, err = await run(server.url, "backfill", "--days", "30")

    assert (code, err) == (0, "A backfill of 90 days is not done yet; showing that one.\n")
    assert out.startswith("funding of 90 days is read: ")


async def test_a_restart_of_the_service_is_waited_for(
    parts: WebParts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a demo does, it has another token then."""
    results: list[tuple[int, str, str]] = []
    ended = anyio.Event()

    async def follow(url: str) -> None:
        results.append(await run(url, "backfill", "--days", "30"))
        ended.set()

    async with anyio.create_task_group() as tasks:
        async with serving(parts) as server:
            tasks.start_soon(follow, server.url)
            await parts.backfills.asked.wait()
        token, record = make_token("demo2", b"d" * 32, actor="demo", scopes=Scope, created_at=0)
        monkeypatch.setenv("S1_TOKEN", token)
        again = WebParts(tokens=MemoryTokenStore([record]), only={"funding"})
        again.backfills.progress = progress_of(30, 30)
        async with serving(again, port=int(server.url.rpartition(":")[2])):
            await ended.wait()

    [(code, out, err)] = results
    assert (code, out[: len("funding of 30 days is read")]) == (0, "funding of 30 days is read")
    assert "asking again for 60 s" in err


async def test_without_a_service_the_command_gives_up_and_says_what_goes_on(
    parts: WebParts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PATIENCE_MS", 0)
    parts.backfills.unavailable = True
    async with serving(parts) as server:
        code, out, err = await run(server.url, "backfill", "--days", "30")

    assert (code, out) == (1, "")
    assert "the backfill goes on when the service runs: run this again" in err


async def test_ctrl_c_leaves_the_backfill_to_the_service(parts: WebParts, tmp_path: Path) -> None:
    async with serving(parts) as server:
        command = [sys.executable, "-m", "chimera_s1", "funding", "backfill", "--days", "30"]
        environment = {
            "S1_URL": server.url,
            "S1_TOKEN": OPERATOR_TOKEN,
            "S1_STATE_DIR": str(tmp_path),
        }
        with anyio.fail_after(SAFETY_S):
            async with await anyio.open_process(
                ending_with_parent(command), stdin=subprocess.DEVNULL, env=environment
            ) as process:
                await parts.backfills.asked.wait()
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None
                said = "".join([text async for text in TextReceiveStream(process.stderr)])
                code = await process.wait()

    assert code == 130
    assert said == ("The service goes on with the backfill; run this again to see its progress.\n")
    assert parts.backfills.progress == progress_of(30)


async def test_too_many_days_are_refused_with_what_is_allowed(parts: WebParts, run: Run) -> None:
    async with serving(parts) as server:
        code, out, err = await run(server.url, "backfill", "--days", "10000")

    assert (code, out) == (2, "")
    assert "days: send a whole number from 1 to 9999" in err


async def test_gaps_are_none_some_or_not_known(
    parts: WebParts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was verified; by contract, too. A reader's token is enough."""
    monkeypatch.setenv("S1_TOKEN", READER_TOKEN)
    await parts.clock.advance(REQUESTED_AT + HOUR_MS - parts.clock.now_ms())
    listed = ContractFacts(expects_from=REQUESTED_AT - 24 * HOUR_MS, interval_h=8)
    parts.contracts |= {BTC: listed, ETH: listed}
    parts.catalog.put(Venue.PERP, [registry_row(f"perp/{name}") for name in (BTC, ETH)])
    async with serving(parts) as server:
        nothing = await run(server.url, "gaps")
        await verify_all_of(parts, BTC)
        await parts.clock.advance(FRESH_MS)
        some = await run(server.url, "gaps")
        as_json = await run(server.url, "gaps", "--json")
        one = await run(server.url, "gaps", "--symbol", "ETHUSDT")
        none = await run(server.url, "gaps", "--symbol", "btcusdt")
        unknown = await run(server.url, "gaps", "--symbol", "BTCUSD")
        parts.funding.unavailable = "sqlite: database is locked"
        unavailable = await run(server.url, "gaps")
    gone = await run(server.url, "gaps")

    assert (nothing[0], nothing[1]) == (
        2,
        (
            "not known: nothing of the funding history is verified yet; chimera-s1 jobs list "
            "shows when it is read\n"
        ),
    )
    assert none == (
        0,
        "no gaps in BTCUSDT from 2026-08-31 01:00 through 2026-11-29 00:00 UTC\n",
        "",
    )
    assert some == (
        1,
        "ETHUSDT\tnot_verified\t2026-11-28 00:00:00\t2026-11-29 00:00:05\n",
        "1 gap\n1 not_verified: not read yet, or a read failed: chimera-s1 jobs list\n",
    )
    assert (as_json[0], json.loads(as_json[1])["not_verified"]) == (1, 1)
    assert one[0] == 2
    assert one[1].startswith("not known: nothing of ETHUSDT is verified yet; ")
    assert (unknown[0], unavailable[0], gone[0]) == (2, 2, 2)
    assert "did you mean BTCUSDT?" in unknown[2]
    assert "database is locked" in unavailable[2]
    assert "is the service running?" in gone[2]


async def verify_all_of(parts: WebParts, symbol: Symbol) -> None:
    """It settles every 8 h."""
    for hour in range(0, 25, 8):
        key = SettlementKey(REQUESTED_AT - hour * HOUR_MS, symbol, REGULAR)
        parts.funding.records[key] = FundingRecord(
            key=key,
            rate=Decimal("0.0001"),
            mark_price=None,
            content_hash="",
            first_seen_at=key.funding_time,
        )
    coverage = RateCoverage(
        symbol=symbol,
        verified_from=REQUESTED_AT - 91 * 24 * HOUR_MS,
        verified_through=REQUESTED_AT,
    )
    await parts.funding.extend_coverage([coverage])
