"""What a killed recorder leaves behind, in each format: the messages older than a second.

The file is a FIFO, so that the test sees the bytes when they leave the process, and waits for them.
"""

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.adapters.market_file import FileCut, read_market_file
from tests.processes import finished, simulator_process
from tests.time_limits import TIMEOUT_S

MESSAGE = (
    b'{"ts":177251446%04d,"venue":"spot","msg":{"stream":"btcusdt@bookTicker","data":'
    b'{"u":%d,"s":"BTCUSDT","b":"67403.80","B":"1","a":"67403.90","A":"2"}}}\n'
)
FEW = 3
"""Far fewer messages than fill a buffer: only a flush brings them out."""


@pytest.fixture(scope="module")
async def exchange() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--symbols", "BTCUSDT", "--rate", "4") as simulator:
        ready = simulator.ready
        yield {
            "S1_BINANCE_ENV": "simulator",
            **{
                f"S1_BINANCE_{venue}_{side}_URL": ready[f"{venue}_{side}_url".lower()]
                for venue in ("SPOT", "PERP")
                for side in ("REST", "WS")
            },
        }


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
async def test_a_killed_recorder_leaves_what_it_recorded(
    suffix: str, exchange: dict[str, str], tmp_path: Path
) -> None:
    fifo, file = tmp_path / f"fifo.jsonl{suffix}", tmp_path / f"killed.jsonl{suffix}"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(reader, "rb", buffering=0) as arriving:
        async with recorder(fifo, exchange) as recording:
            with anyio.fail_after(TIMEOUT_S):
                while complete_messages(file) < FEW:
                    await anyio.wait_readable(arriving)
                    with file.open("ab") as kept:
                        kept.write(arriving.read(1 << 16) or b"")
            recording.send_signal(signal.SIGKILL)
            await recording.wait()

    cuts: list[FileCut] = []
    messages = len(list(read_market_file(file, on_cut=cuts.append)))
    assert messages >= FEW
    if suffix:
        assert [cut.lines for cut in cuts] == [messages]


async def test_a_cut_file_is_replayed_up_to_the_cut(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(MESSAGE % (n, n) for n in range(3)))
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(whole[:-9])
    plan = (str(file), "--speed", "max", "--json", "--state-dir", str(tmp_path))
    code, out, err = await finished("replay", *plan)

    assert code == 0, err
    result = msgspec.json.decode(out)
    assert (result["messages_in_file"], result["cut_after_line"]) == (3, 3)
    assert f"{file} is cut: it ends at byte {len(whole) - 9} within a gzip member" in err


@asynccontextmanager
async def recorder(target: Path, environment: dict[str, str]) -> AsyncIterator[anyio.abc.Process]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("S1_")}
    command = [sys.executable, "-m", "chimera_s1", "record", str(target), "--overwrite"]
    async with await anyio.open_process(
        ending_with_parent([*command, "--symbols", "BTCUSDT"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None,
        env={**kept, **environment},
    ) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


def complete_messages(file: Path) -> int:
    return len(list(read_market_file(file, on_cut=lambda _: None))) if file.exists() else 0
