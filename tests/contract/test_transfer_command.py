"""`chimera-s1 transfer` as a real process with the real API: lost replies move money once."""

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

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from tests.contract.treasury_api_client import TRADER, TRADER_TOKEN, UNLIMITED
from tests.contract.web_parts import Treasury, WebParts, serving
from tests.fakes.token_store import MemoryTokenStore
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.processes import finished
from tests.time_limits import TIMEOUT_S

HOST = "127.0.0.1"
MOVE = ("--from", "SPOT", "--to", "FUT", "--amount", "12.5")
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class LossyProxy:
    """A TCP proxy in front of a service that loses replies.

    Attributes:
        url: Where clients connect.
        to_lose: How many of the next replies to drop.
        to_hold: How many replies after those to hold back for ever.
        lost, held: What was dropped, and whether one was held back.
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
async def lossy_proxy(port: int) -> AsyncIterator[LossyProxy]:
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        proxy = LossyProxy(f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, lambda client: proxy.carry(client, port))
            yield proxy
            tasks.cancel_scope.cancel()


class Setup:
    """A service with the treasury in memory, a lossy proxy, and a shell with a token."""

    def __init__(self, treasury: Treasury, proxy: LossyProxy, state_dir: Path) -> None:
        self.treasury = treasury
        self.proxy = proxy
        self.state_dir = state_dir
        self.environment = {
            "S1_URL": proxy.url,
            "S1_TOKEN": TRADER_TOKEN,
            "S1_STATE_DIR": str(state_dir),
        }

    async def transfer(self, *arguments: str) -> tuple[int, str, str]:
        code, out, err = await finished("transfer", *arguments, environment=self.environment)
        assert TRADER_TOKEN not in out + err
        assert "Traceback" not in err
        return code, out, err

    def moved(self) -> int:
        """How many transfer orders the exchange received."""
        return len(self.treasury.world.gateway.sent_orders)

    def saved(self) -> list[dict[str, Any]]:
        """The saved transfers; their files are readable by the owner only."""
        files = list((self.state_dir / "transfers").glob("*"))
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        assert all(TRADER_TOKEN not in file.read_text() for file in files)
        return [json.loads(file.read_text()) for file in files]


@pytest.fixture
async def setup(tasks: TaskGroup, tmp_path: Path) -> AsyncIterator[Setup]:
    treasury = Treasury()
    tokens = MemoryTokenStore([TRADER])
    parts = WebParts(tokens=tokens, treasury=treasury, limit=UNLIMITED, only={"treasury"})
    treasury.start(tasks)
    async with serving(parts) as server, lossy_proxy(int(server.url.rpartition(":")[2])) as proxy:
        yield Setup(treasury, proxy, tmp_path)


async def test_a_transfer_prints_one_line(setup: Setup) -> None:
    code, out, err = await setup.transfer(*MOVE, "--id", "margin-1", "--reason", "margin")

    assert (code, out) == (0, "OK transfer margin-1: 12.5 USDT from SPOT to FUT, moved\n")
    assert "transfer margin-1 is saved in" in err
    assert setup.moved() == 1
    [saved] = setup.saved()
    assert saved["result"] == "OK"
    assert saved["body"]["amount_usdt"] == "12.5"


async def test_a_wallet_may_be_written_in_small_letters_and_under_its_old_name(
    setup: Setup,
) -> None:
    code, out, _ = await setup.transfer("--from", "spot", "--to", "FUTURES", "--amount", "1")

    assert (code, "1 USDT from SPOT to FUT, moved" in out) == (0, True)


async def test_lost_replies_do_not_move_money_twice(setup: Setup) -> None:
    """The service replied three times; the third reply arrived."""
    setup.proxy.to_lose = 2

    code, out, err = await setup.transfer(*MOVE)

    assert setup.proxy.lost == 2
    assert code == 0, err
    assert out.startswith("OK transfer ")
    assert err.count("retrying with the same id") == 2
    assert err.count("which is safe: one id moves money once") == 2
    assert setup.moved() == 1
    assert [saved["asked"] for saved in setup.saved()] == [3]


async def test_a_killed_command_is_resumed_and_moves_money_once(setup: Setup) -> None:
    """Killed after the money moved and before the reply."""
    setup.proxy.to_hold = 1
    process = await anyio.open_process(
        ending_with_parent([sys.executable, "-m", "chimera_s1", "transfer", *MOVE]),
        env=setup.environment,
    )
    async with process:
        with anyio.fail_after(TIMEOUT_S):
            await setup.proxy.held.wait()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert setup.moved() == 1
    assert [saved["result"] for saved in setup.saved()] == [""]

    code, out, err = await setup.transfer("--resume")
    assert code == 0, err
    assert out.startswith("OK transfer ")
    assert setup.moved() == 1
    assert [saved["result"] for saved in setup.saved()] == ["OK"]
    code, out, err = await setup.transfer("--resume")
    assert (code, out) == (0, "")
    assert "nothing to resume" in err


async def test_an_unfinished_transfer_gives_exit_code_3_and_can_be_resumed(setup: Setup) -> None:
    """The exchange has moved the money, and its reply was lost: reconciliation finds it."""
    exchange = setup.treasury.world.gateway
    exchange.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))

    code, out, _ = await setup.transfer(*MOVE, "--id", "p1", "--wait", "0", "--json")
    assert code == 3
    assert json.loads(out)["result"] == "PENDING"

    code, out, err = await setup.transfer("--resume")
    assert (code, out) == (0, "OK transfer p1: 12.5 USDT from SPOT to FUT, moved\n"), err
    assert setup.moved() == 1


async def test_a_refusal_by_a_rule_gives_exit_code_1_and_is_final(setup: Setup) -> None:
    code, out, _ = await setup.transfer(*MOVE[:-1], "5000", "--json")
    assert code == 1
    assert json.loads(out)["code"] == "above_max"

    code, out, err = await setup.transfer("--resume")
    assert (code, out) == (0, "")
    assert "nothing to resume" in err
    assert setup.moved() == 0


async def test_an_id_identifies_one_transfer(setup: Setup) -> None:
    """The same arguments are the same transfer; other arguments are not sent."""
    for _ in range(2):
        code, out, _ = await setup.transfer(*MOVE, "--id", "m")
        assert (code, out.split()[0]) == (0, "OK")
    code, out, err = await setup.transfer(*MOVE[:-1], "13", "--id", "m")

    assert (code, out) == (2, "")
    assert "m was used here for another transfer; leave --id out for a new one" in err
    assert setup.moved() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
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
async def test_a_wrong_argument_gives_exit_code_2_and_saves_nothing(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = await finished(
        "transfer", *arguments, environment={"S1_STATE_DIR": str(tmp_path)}
    )

    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert names(tmp_path) == []


async def test_an_unwritable_directory_prevents_the_request(
    setup: Setup,
) -> None:
    """A file stands where the directory should be."""
    write(setup.state_dir / "transfers", "")

    code, out, err = await setup.transfer(*MOVE)

    assert (code, out) == (2, "")
    assert "a transfer that cannot be saved is not sent" in err
    assert setup.moved() == 0


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def write(file: Path, text: str) -> None:
    file.write_text(text)
