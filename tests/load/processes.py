"""The processes of a benchmark: senders, receivers, services, each pinned to its core."""

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import anyio
import httpx2
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec import Struct

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from tests.load.machine import Cores, cpu_s, on_core, rss_mib

READY_S = 30
STOP_S = 20
_POLL_INTERVAL_S = 0.05
_SAMPLE = re.compile(r"^([a-z0-9_]+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


class Child:
    """A running Python module that prints JSON lines."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._output = BufferedByteReceiveStream(process.stdout)

    async def line(self, timeout_s: float = READY_S) -> dict[str, Any]:
        """The next line of output."""
        with anyio.fail_after(timeout_s):
            return msgspec.json.decode(
                await self._output.receive_until(b"\n", 65_536), type=dict[str, Any]
            )


def _base_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("S1_")}
    # Compiling modules at start would leave 5 MiB of compiler memory in the process; an installed
    # service finds its modules compiled.
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept.setdefault("PYTHONPYCACHEPREFIX", str(Path(gettempdir()) / "chimera-bench-bytecode"))
    return kept


async def compile_sources() -> None:
    """Compile the modules of the service, like an installation."""
    modules = "import chimera_s1.app.cli.application, chimera_s1.app.runtime"
    await anyio.run_process([sys.executable, "-c", modules], env=_base_environment())


@asynccontextmanager
async def child(
    core: int,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> AsyncIterator[Child]:
    """Run `python -m <arguments>` on *core* during the block."""
    stderr = log.open("wb") if log else None
    try:
        with on_core(core):
            process = await anyio.open_process(
                ending_with_parent([sys.executable, "-m", *arguments]),
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                env={**_base_environment(), **(environment or {})},
            )
    finally:
        if stderr:
            stderr.close()
    try:
        yield Child(process)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


class Reading(Struct, frozen=True):
    """Figures of a service at one time.

    Attributes:
        at_s: Monotonic seconds.
        cpu_s: CPU time since its start.
        rss_mib: Resident memory.
        samples: Values of its metrics page by name with labels.
    """

    at_s: float
    cpu_s: float
    rss_mib: float
    samples: dict[str, float]

    def total(self, name: str) -> float:
        """The sum of *name* over its labels; 0 if it is missing."""
        return sum(value for key, value in self.samples.items() if key.partition("{")[0] == name)


async def read_metrics(client: httpx2.AsyncClient, pid: int, url: str = "") -> Reading:
    """The figures of process *pid*, whose metrics page is below *url*."""
    reply = await client.get(f"{url}/metrics")
    samples = {name: float(value) for name, value in _SAMPLE.findall(reply.text)}
    return Reading(time.monotonic(), cpu_s(pid), rss_mib(pid), samples)


class Service:
    """A running `chimera-s1 serve`."""

    def __init__(self, process: Process, directory: Path, client: httpx2.AsyncClient) -> None:
        self.pid = process.pid
        self._process = process
        self.log = directory / "service.log"
        self._env_file = directory / "service.env"
        self._client = client
        self._url = ""

    @property
    def url(self) -> str:
        return self._url

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def ended(self) -> None:
        """Wait for the end of its process."""
        await self._process.wait()

    async def read(self) -> Reading:
        return await read_metrics(self._client, self.pid, self._url)

    async def until_publishing(self) -> None:
        """Wait until all connections deliver and quotes are published, or kept by a standby.

        Raises:
            RuntimeError: It ended or timed out; the text contains the last line of its log.
        """
        with anyio.move_on_after(READY_S):
            while self._process.returncode is None:
                if await self._publishes():
                    return
                await anyio.sleep(_POLL_INTERVAL_S)
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line]
        code = self._process.returncode
        how = f"did not publish within {READY_S} s" if code is None else f"ended with {code}"
        raise RuntimeError(f"the service {how}: {lines[-1] if lines else 'it wrote no log'}")

    async def _publishes(self) -> bool:
        if not self._url:
            if not self._env_file.exists():
                return False
            pairs = dict(line.split("=", 1) for line in self._env_file.read_text().splitlines())
            self._url = pairs["S1_URL"]
        try:
            now = await self.read()
        except httpx2.HTTPError:
            return False
        wanted = now.total("s1_feed_connections")
        delivering = now.total("s1_feed_connections_delivering")
        quotes = now.total("s1_publish_quotes_total") + now.total("s1_quotes_kept")
        return bool(wanted) and wanted == delivering and quotes > 0


class Rig(Struct, frozen=True):
    """Starts the processes of a benchmark; *redis* is `host:port,host:port`."""

    cores: Cores
    redis: str

    @asynccontextmanager
    async def sender(self, symbols: int, rate: float, venue: str = "spot") -> AsyncIterator[int]:
        """Start a sender of *rate* messages/s over all symbols (0: unpaced); gives its port."""
        options = ("--symbols", str(symbols), "--rate", str(rate), "--venue", venue)
        async with child(self.cores.sender, "tests.load.flood", *options) as flood:
            yield (await flood.line())["port"]

    @asynccontextmanager
    async def service(
        self, port: int, *, core: int | None = None, **settings: str
    ) -> AsyncIterator[Service]:
        """Start a service fed by the sender on *port*; ready once it publishes or stands by.

        *settings* are names without prefix, such as `conflation_ms="0"`.
        """
        with TemporaryDirectory(prefix="chimera-bench-") as name:
            directory = Path(name)
            environment = self._environment(port, directory, settings)
            async with (
                httpx2.AsyncClient() as client,
                child(
                    self.cores.service[0] if core is None else core,
                    "chimera_s1",
                    "serve",
                    environment=environment,
                    log=directory / "service.log",
                ) as running,
            ):
                service = Service(running.process, directory, client)
                await service.until_publishing()
                yield service

    def _environment(
        self, port: int, directory: Path, settings: Mapping[str, str]
    ) -> dict[str, str]:
        venue = settings.get("venues", "spot")
        return {
            "S1_BINANCE_ENV": "simulator",
            "S1_VENUES": venue,
            f"S1_BINANCE_{venue.upper()}_REST_URL": f"http://127.0.0.1:{port}",
            f"S1_BINANCE_{venue.upper()}_WS_URL": f"ws://127.0.0.1:{port}",
            "S1_SYMBOLS": "*",
            "S1_HTTP_PORT": "0",
            "S1_LOG_FORMAT": "json",
            "S1_REDIS_ADDRESSES": self.redis,
            "S1_STATE_DIR": str(directory),
            **{f"S1_{field.upper()}": value for field, value in settings.items()},
        }


async def _end(process: Process) -> None:
    try:
        if process.returncode is None:
            process.terminate()
        with anyio.fail_after(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    finally:
        await process.aclose()
