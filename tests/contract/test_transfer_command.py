"""`chimera-s1 transfer` as a real process against the real API: whatever is lost on the way, money
moves once.
"""

import json
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from tests.contract.treasury_api_client import TRADER, TRADER_TOKEN, UNLIMITED
from tests.contract.web_parts import Treasury, WebParts, serving
from tests.fakes.token_store import MemoryTokenStore
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.processes import finished

HOST = "127.0.0.1"
MOVE = ("--from", "SPOT", "--to", "FUTURES", "--amount", "12.5")
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Line:
    """The way to a service, which loses replies that were already given.

    Attributes:
        url: Where clients connect.

        to_lose: Replies that do not come through from now on.

        to_hold: Replies after those that stay on the way for ever.

        lost, held: Those that did not come through.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.to_lose = 0
        self.to_hold = 0
        self.lost = 0
        self.held = anyio.Event()

    async def carry(self, client: SocketStream, port: int) -> None:
        async with client, await anyio.connect_tcp(HOST, port) as server:
            with suppress(*_GONE):
                await server.send(await _request(client))
                reply = await server.receive()
                if self.to_lose:
                    self.to_lose -= 1
                    self.lost += 1
                elif self.to_hold:
                    self.to_hold -= 1
                    self.held.set()
                    await client.receive()
                else:
                    await client.send(reply)


async def _request(client: SocketStream) -> bytes:
    data = await client.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0:
                more = await client.receive()
                data, missing = data + more, missing - len(more)
    return data


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        line = Line(f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, lambda client: line.carry(client, port))
            yield line
            tasks.cancel_scope.cancel()


class Desk:
    """A service with the treasury in memory, the line to it, and a shell that has a token."""

    def __init__(self, treasury: Treasury, line: Line, state_dir: Path) -> None:
        self.treasury = treasury
        self.line = line
        self.state_dir = state_dir
        self.environment = {
            "S1_URL": line.url,
            "S1_TOKEN": TRADER_TOKEN,
            "S1_STATE_DIR": str(state_dir),
        }

    async def transfer(self, *arguments: str) -> tuple[int, str, str]:
        code, out, err = await finished("transfer", *arguments, environment=self.environment)
        assert TRADER_TOKEN not in out + err
        assert "Traceback" not in err
        return code, out, err

    def moved(self) -> int:
        """How often the exchange was told to move money."""
        return len(self.treasury.world.gateway.sent_orders)

    def kept(self) -> list[dict[str, Any]]:
        """What the state directory knows, of its owner only."""
        files = list((self.state_dir / "transfers").glob("*"))
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        assert all(TRADER_TOKEN not in file.read_text() for file in files)
        return [json.loads(file.read_text()) for file in files]


@pytest.fixture
async def desk(tasks: TaskGroup, tmp_path: Path) -> AsyncIterator[Desk]:
    treasury = Treasury()
    parts = WebParts(tokens=MemoryTokenStore([TRADER]), treasury=treasury, limit=UNLIMITED)
    treasury.start(tasks)
    async with serving(parts) as server, line_to(int(server.url.rpartition(":")[2])) as line:
        yield Desk(treasury, line, tmp_path)


async def test_money_moves_and_one_line_says_so(desk: Desk) -> None:
    code, out, err = await desk.transfer(*MOVE, "--id", "margin-1", "--reason", "margin")

    assert (code, out) == (0, "OK transfer margin-1: 12.5 USDT from SPOT to FUTURES, moved\n")
    assert "transfer margin-1 is saved in" in err
    assert desk.moved() == 1
    [kept] = desk.kept()
    assert kept["result"] == "OK"
    assert kept["body"]["amount_usdt"] == "12.5"


async def test_lost_replies_do_not_move_money_twice(desk: Desk) -> None:
    """The service has answered three times; the third answer came through."""
    desk.line.to_lose = 2

    code, out, err = await desk.transfer(*MOVE)

    assert desk.line.lost == 2
    assert code == 0, err
    assert out.startswith("OK transfer ")
    assert err.count("retrying with the same id") == 2
    assert err.count("which is safe: one id moves money once") == 2
    assert desk.moved() == 1
    assert [kept["asked"] for kept in desk.kept()] == [3]


async def test_a_killed_command_is_taken_up_and_moves_money_once(desk: Desk) -> None:
    """Killed after the money had moved and before it knew."""
    desk.line.to_hold = 1
    process = await anyio.open_process(
        [sys.executable, "-m", "chimera_s1", "transfer", *MOVE], env=desk.environment
    )
    async with process:
        with anyio.fail_after(60):
            await desk.line.held.wait()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert desk.moved() == 1
    assert [kept["result"] for kept in desk.kept()] == [""]

    code, out, err = await desk.transfer("--resume")
    assert code == 0, err
    assert out.startswith("OK transfer ")
    assert desk.moved() == 1
    assert [kept["result"] for kept in desk.kept()] == ["OK"]
    code, out, err = await desk.transfer("--resume")
    assert (code, out) == (0, "")
    assert "nothing to resume" in err


async def test_what_is_not_over_is_exit_code_3_and_can_be_resumed(desk: Desk) -> None:
    """The exchange has moved the money, and its reply was lost: reconciliation finds it."""
    exchange = desk.treasury.world.gateway
    exchange.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))

    code, out, _ = await desk.transfer(*MOVE, "--id", "p1", "--wait", "0", "--json")
    assert code == 3
    assert json.loads(out)["result"] == "PENDING"

    code, out, err = await desk.transfer("--resume")
    assert (code, out) == (0, "OK transfer p1: 12.5 USDT from SPOT to FUTURES, moved\n"), err
    assert desk.moved() == 1


async def test_a_refusal_by_a_rule_is_exit_code_1_and_final(desk: Desk) -> None:
    code, out, _ = await desk.transfer(*MOVE[:-1], "5000", "--json")
    assert code == 1
    assert json.loads(out)["code"] == "above_max"

    code, out, err = await desk.transfer("--resume")
    assert (code, out) == (0, "")
    assert "nothing to resume" in err
    assert desk.moved() == 0


async def test_an_id_is_for_one_transfer(desk: Desk) -> None:
    """The same again is the same transfer; another one is not sent at all."""
    for _ in range(2):
        code, out, _ = await desk.transfer(*MOVE, "--id", "m")
        assert (code, out.split()[0]) == (0, "OK")
    code, out, err = await desk.transfer(*MOVE[:-1], "13", "--id", "m")

    assert (code, out) == (2, "")
    assert "m was used here for another transfer; leave --id out for a new one" in err
    assert desk.moved() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (MOVE[:4], "--from, --to and --amount are required"),
        ((*MOVE[:-1], "-1"), "an amount is more than 0"),
        ((*MOVE, "--resume"), "--resume continues saved transfers"),
        ((*MOVE, "--url", "ftp://x"), "the service's address is not"),
        (MOVE, "no service to call: set S1_URL and S1_TOKEN"),
        (("--resume", "--id", "a"), "a was not requested from this state directory"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
async def test_a_mistake_is_exit_code_2_and_nothing_is_kept(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = await finished(
        "transfer", *arguments, environment={"S1_STATE_DIR": str(tmp_path)}
    )

    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert names(tmp_path) == []


async def test_a_directory_that_cannot_be_written_stops_it_before_anything_is_sent(
    desk: Desk,
) -> None:
    """A file stands where the directory should be."""
    write(desk.state_dir / "transfers", "")

    code, out, err = await desk.transfer(*MOVE)

    assert (code, out) == (2, "")
    assert "a transfer that cannot be saved is not sent" in err
    assert desk.moved() == 0


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def write(file: Path, text: str) -> None:
    file.write_text(text)
