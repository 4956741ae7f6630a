"""The examination: which settings are looked at, and the checks of this machine and of Redis."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio

from chimera_s1 import __version__
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.cluster_report import ClusterReport, describe_cluster
from chimera_s1.adapters.redis.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.server_binary import find_redis_server
from chimera_s1.app.cli.demo.processes import not_ready
from chimera_s1.app.cli.doctor.check_result import Finding, Grade, found
from chimera_s1.app.cli.doctor.exchange_checks import check_exchange
from chimera_s1.app.cli.doctor.treasury_checks import check_treasury
from chimera_s1.app.cli.shared.stream_store_location import StreamLocation, connected, find_streams
from chimera_s1.app.embedded_redis import addresses_of
from chimera_s1.app.settings.settings import Settings, load_settings
from chimera_s1.app.state_files import read_demo_settings, read_demo_state
from chimera_s1.app.web.server import bind
from chimera_s1.domain.errors import ConfigurationError

_VERSION_PATIENCE_S = 5.0
_NAMED_ELSEWHERE = ("S1_BINANCE_", "S1_REDIS_ADDRESSES")
_START_REDIS = "start the cluster, or correct S1_REDIS_ADDRESSES, S1_REDIS_USER and S1_REDIS_PASS"


async def examine(environ: Mapping[str, str], state_dir: Path | None) -> list[Finding]:
    """Every finding, in the order to read them."""
    findings = [_python()]
    try:
        settings, subject = _subject(environ, state_dir)
    except ConfigurationError as error:
        remedy = "correct them; chimera-s1 config shows what is in force"
        return [*findings, Finding("settings", Grade.FAIL, str(error), remedy)]
    findings += [
        Finding("settings", Grade.OK, f"valid; checking {subject}"),
        await found("redis-server", _server_program(settings), ""),
        await found("redis", _redis(settings), _START_REDIS),
    ]
    findings += await check_exchange(settings)
    findings += await check_treasury(settings)
    findings += [
        await found("http", _http(settings), ""),
        _state_directory(settings.state_dir),
    ]
    return findings


def _subject(environ: Mapping[str, str], state_dir: Path | None) -> tuple[Settings, str]:
    """The demo's settings where one runs and *environ* names no exchange and no Redis, else its
    own.
    """
    named = {**environ, **({"S1_STATE_DIR": str(state_dir)} if state_dir else {})}
    settings = load_settings(named)
    elsewhere = any(environ[name] for name in environ if name.startswith(_NAMED_ELSEWHERE))
    if not elsewhere and read_demo_state(settings.state_dir) is not None:
        return load_settings(
            {**read_demo_settings(settings.state_dir), "S1_STATE_DIR": str(settings.state_dir)}
        ), f"the demo in {settings.state_dir}"
    return settings, f"Binance {settings.binance_env}"


def _python() -> Finding:
    detail = f"Python {platform.python_version()}, chimera-s1 {__version__}, {sys.executable}"
    return Finding("python", Grade.OK, detail)


async def _server_program(settings: Settings) -> Finding:
    try:
        program = find_redis_server(str(settings.redis_server or ""))
    except ConfigurationError as error:
        if settings.redis_addresses:
            detail = "none on this machine, and none is needed: S1_REDIS_ADDRESSES is set"
            return Finding("redis-server", Grade.OK, detail)
        return Finding("redis-server", Grade.FAIL, str(error))
    try:
        with anyio.fail_after(_VERSION_PATIENCE_S):
            shown = await anyio.run_process([str(program), "--version"])
    except (OSError, subprocess.CalledProcessError, TimeoutError) as error:
        remedy = "name another with S1_REDIS_SERVER"
        return Finding("redis-server", Grade.FAIL, f"{program} does not run: {error}", remedy)
    version = shown.stdout.decode(errors="replace").split(" sha=")[0].strip()
    return Finding("redis-server", Grade.OK, f"{program}: {version}")


async def _redis(settings: Settings) -> Finding:
    location = find_streams(None, settings, settings.state_dir)
    if location is not None:
        async with connected(location, settings) as client:
            return _cluster(str(location), await describe_cluster(client))
    with tempfile.TemporaryDirectory() as directory:
        binary = find_redis_server(str(settings.redis_server or ""))
        async with EmbeddedRedis(Path(directory), binary=binary) as redis:
            where = StreamLocation(addresses_of(redis), "a trial start of the embedded one")
            async with connect_cluster(where.addresses) as client:
                return _cluster(str(where), await describe_cluster(client))


def _cluster(where: str, report: ClusterReport) -> Finding:
    size = f"masters {report.masters}, replicas {report.replicas}"
    detail = f"{where}: version {report.version}, {size}"
    if report.defect:
        remedy = "see redis-cli CLUSTER INFO and CLUSTER NODES on that node"
        return Finding("redis", Grade.FAIL, f"{detail}; takes no writes: {report.defect}", remedy)
    return Finding("redis", Grade.OK, f"{detail}, cluster_state ok")


async def _http(settings: Settings) -> Finding:
    where = f"{settings.http_host}:{settings.http_port}"
    demo = read_demo_state(settings.state_dir)
    if demo is not None:
        missing = await anyio.to_thread.run_sync(not_ready, demo.url)
        if missing:
            waits = "; ".join(f"{part.name}: {part.detail}" for part in missing)
            return Finding("http", Grade.FAIL, f"{demo.url} is not ready: {waits}")
        return Finding("http", Grade.OK, f"{demo.url} is ready")
    try:
        bind(
            settings.http_host,
            settings.http_port,
            loopback_only=settings.api_tokens_file is None,
        ).close()
    except ConfigurationError as error:
        return Finding("http", Grade.FAIL, str(error))
    free = "any free port will be taken" if settings.http_port == 0 else "free"
    return Finding("http", Grade.OK, f"{where}: {free}")


def _state_directory(directory: Path) -> Finding:
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding("state dir", Grade.OK, f"{directory} can be written")
    remedy = f"make {existing} writable, or set S1_STATE_DIR to another directory"
    return Finding("state dir", Grade.FAIL, f"{directory} cannot be written", remedy)
