"""The service as a real process: its log read line by line, its HTTP, its Redis streams."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import httpx2
import msgspec
import psutil
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from redis.asyncio import Redis

from tests.forked_process import fork_python
from tests.time_limits import TIMEOUT_S

MODULE = ("-m", "chimera_s1")
_LOOK_AGAIN_S = 0.2
_LINE_BYTES_MAX = 1_000_000


class Service:
    """A `chimera-s1 serve` process.

    Attributes:
        process: For its pid.
        state_dir: Where it keeps its state.
        lines: What it has logged: JSON objects, other text as `{"message": text}`.
    """

    def __init__(self, process: Process, state_dir: Path) -> None:
        self.process = process
        self.state_dir = state_dir
        self.lines: list[dict[str, Any]] = []
        self.output = ""
        self._news = anyio.Event()
        self._over = False

    async def read_log(self) -> None:
        """Take in its standard error to the end."""
        assert self.process.stderr is not None
        log = BufferedByteReceiveStream(self.process.stderr)
        try:
            while True:
                line = (await log.receive_until(b"\n", _LINE_BYTES_MAX)).decode()
                self.output += line + "\n"
                self.lines.append(_parsed(line))
                self._tell()
        except anyio.IncompleteRead:
            return
        finally:
            self._over = True
            self._tell()

    async def logged(self, text: str) -> dict[str, Any]:
        """Wait for a line whose message contains *text*."""
        with anyio.fail_after(TIMEOUT_S):
            while True:
                for line in self.lines:
                    if text in line["message"]:
                        return line
                assert not self._over, f"it never said {text!r}:\n{self.output}"
                await self._news.wait()

    async def url(self) -> str:
        """Where it serves, once it does."""
        message: str = (await self.logged("serving on "))["message"]
        return message.removeprefix("serving on ")

    async def readiness(
        self, expected: int, named: Callable[[AbstractSet[str]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Ask `/ready`, at each line of the log and now and then, until it answers *expected* and
        the names of the components in its body are as *named* wants them: on a busy machine others
        may be red for a moment, too. `/health` must answer 200 each time.
        """
        body: dict[str, Any] = {}
        async with httpx2.AsyncClient(base_url=await self.url(), timeout=TIMEOUT_S) as http:
            with anyio.move_on_after(TIMEOUT_S):
                while True:
                    assert (await http.get("/health")).status_code == 200
                    answer = await http.get("/ready")
                    body = answer.json()
                    names = {component["name"] for component in body["components"]}
                    if answer.status_code == expected and named(names):
                        return body
                    with anyio.move_on_after(_LOOK_AGAIN_S):
                        await self._news.wait()
        raise AssertionError(f"/ready never answered {expected}, last {body}\n{self.output}")

    async def redis_port(self) -> int:
        """Of the embedded Redis, or of the first node it was given."""
        await self.url()
        text = (self.state_dir / "service.env").read_text()
        return int(text.partition("S1_REDIS_ADDRESSES=")[2].split(",")[0].rpartition(":")[2])

    def children(self) -> list[int]:
        """Process ids of its children."""
        return _children(self.process.pid)

    async def ended(self) -> int:
        """Wait for its end and read the rest of its log; its exit code."""
        with anyio.fail_after(TIMEOUT_S):
            code = await self.process.wait()
            while not self._over:
                await self._news.wait()
            return code

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@asynccontextmanager
async def service_process(
    state_dir: Path,
    environ: Mapping[str, str],
    *,
    interpreter: Sequence[str] = MODULE,
) -> AsyncIterator[Service]:
    """Run the service; it and its children are stopped at the end of the block.

    Args:
        state_dir: Its S1_STATE_DIR.
        environ: Added to the test's own and to what makes it quick.
        interpreter: What Python is told to run, with the argument `serve`.
    """
    quick = {
        "S1_HTTP_PORT": "0",
        "S1_STATE_DIR": str(state_dir),
        "S1_LOG_FORMAT": "json",
        "S1_RECONNECT_BASE_MS": "50",
        "S1_RECONNECT_MAX_WAIT_MS": "200",
        "S1_RECONNECT_JITTER_MS": "10",
        "S1_RECONNECT_N_MAX": "1000",
        "S1_CLOCK_PATROL_MS": "500",
        "S1_HEALTH_GRACE_MAX_MS": "0",
    }
    process = await fork_python(
        [*interpreter, "serve"], {**_own_environ(), **quick, **environ}, stdout=DEVNULL
    )
    service = Service(process, state_dir)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(process.aclose)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.read_log)
            try:
                yield service
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(service)


def simulated(ready: Mapping[str, str], symbols: str = "BTCUSDT,ETHUSDT") -> dict[str, str]:
    """Settings for a simulator whose first line was *ready*."""
    urls = {
        f"S1_BINANCE_{name.upper()}": url
        for name, url in ready.items()
        if name.endswith("_url") and name not in {"control_url", "s10_url"}
    }
    s10 = {"S1_S10_URL": ready["s10_url"]} if "s10_url" in ready else {}
    return {"S1_BINANCE_ENV": "simulator", "S1_SYMBOLS": symbols, **s10, **urls}


class StreamReader:
    """A stream of one Redis node, entry by entry, each waited for."""

    def __init__(self, redis: "Redis", stream: str, after: str = "0") -> None:
        self._redis = redis
        self._stream = stream
        self._after = after

    async def next(self) -> tuple[str, dict[str, str]]:
        """The next entry: its id, and its fields in their order."""
        with anyio.fail_after(TIMEOUT_S):
            while True:
                found: Any = await self._redis.xread(
                    {self._stream: self._after}, count=1, block=1_000
                )
                if found:
                    [(_, [(self._after, fields)])] = found
                    return self._after, fields


@asynccontextmanager
async def redis_at(port: int, password: str | None = None) -> AsyncIterator["Redis"]:
    """A client of one node."""
    client = Redis(
        host="127.0.0.1",
        port=port,
        password=password,
        decode_responses=True,
        protocol=2,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
    )
    try:
        yield client
    finally:
        await client.aclose()


def _own_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("S1_")}


def _parsed(line: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"message": line}


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


async def _end(service: Service) -> None:
    children = service.children()
    if service.process.returncode is None:
        with anyio.move_on_after(TIMEOUT_S):
            await service.stop()
        with suppress(ProcessLookupError):
            service.process.kill()
        await service.process.wait()
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
