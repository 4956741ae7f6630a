"""Runs all checks: of the settings, this machine and Redis here, the others beside."""

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
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.system.open_files import raise_open_files_limit
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.demo.processes import unready_components
from chimera_s1.app.cli.doctor.account_checks import check_account
from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult, run_check
from chimera_s1.app.cli.doctor.exchange_checks import check_exchange
from chimera_s1.app.cli.doctor.treasury_checks import check_treasury
from chimera_s1.app.cli.shared.options import EMBEDDED_REDIS, state_directory
from chimera_s1.app.cli.shared.stream_store_location import (
    StreamStoreLocation,
    connected,
    find_stream_store,
)
from chimera_s1.app.embedded_redis import check_redis_is_named, node_addresses
from chimera_s1.app.foundation import endpoints_for, exchange_limits
from chimera_s1.app.service_settings import Settings, load_settings
from chimera_s1.app.state_files import read_demo_settings, read_demo_state
from chimera_s1.app.web.connections import CONNECTIONS_MAX, OTHER_FILES, connections_max
from chimera_s1.app.web.server import bind
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue

_VERSION_TIMEOUT_S = 5.0
_OVERRIDING_PREFIXES = ("S1_BINANCE_", "S1_REDIS_ADDRESSES")
_START_REDIS = (
    "start the cluster, or correct S1_REDIS_ADDRESSES, S1_REDIS_USER, S1_REDIS_PASS or S1_REDIS_TLS"
)


async def run_checks(environ: Mapping[str, str], state_dir: Path | None) -> list[CheckResult]:
    """All results, in reading order."""
    results = [_python()]
    try:
        settings, subject = _settings_to_check(environ, state_dir)
        endpoints_for(settings, tuple(Venue) if settings.moves_money else settings.venues)
        check_redis_is_named(settings)
    except ConfigurationError as error:
        remedy = "correct the settings; chimera-s1 config shows those in force"
        return [*results, CheckResult("settings", CheckGrade.FAIL, str(error), remedy)]
    results += [
        CheckResult("settings", CheckGrade.OK, f"valid; checking {subject}"),
        await run_check("redis-server", _server_program(settings), ""),
        await run_check("redis", _redis(settings), _START_REDIS),
    ]
    limits = exchange_limits(settings, SystemClock())
    results += await check_exchange(settings, limits)
    results += await check_treasury(settings, limits)
    results += await check_account(settings, limits)
    results += [
        await run_check("http", _http(settings), ""),
        check_open_files(raise_open_files_limit()),
        _state_directory(settings.state_dir),
    ]
    return results


def _settings_to_check(environ: Mapping[str, str], state_dir: Path | None) -> tuple[Settings, str]:
    """Those of the running demo if *environ* names no exchange and no Redis, else of *environ*."""
    directory = state_directory(state_dir, environ)
    elsewhere = any(environ[name] for name in environ if name.startswith(_OVERRIDING_PREFIXES))
    if not elsewhere and read_demo_state(directory) is not None:
        load_settings({**environ, **EMBEDDED_REDIS})  # what the next start would find wrong
        demo = {**read_demo_settings(directory), "S1_STATE_DIR": str(directory)}
        return load_settings(demo), f"the demo in {directory}"
    settings = load_settings({**environ, "S1_STATE_DIR": str(directory)})
    return settings, f"Binance {settings.binance_env}"


def _python() -> CheckResult:
    detail = f"Python {platform.python_version()}, chimera-s1 {__version__}, {sys.executable}"
    return CheckResult("python", CheckGrade.OK, detail)


async def _server_program(settings: Settings) -> CheckResult:
    try:
        program = find_redis_server(str(settings.redis_server or ""))
    except ConfigurationError as error:
        if settings.redis_addresses:
            detail = "not found, and not needed: S1_REDIS_ADDRESSES is set"
            return CheckResult("redis-server", CheckGrade.OK, detail)
        return CheckResult("redis-server", CheckGrade.FAIL, str(error))
    try:
        with anyio.fail_after(_VERSION_TIMEOUT_S):
            shown = await anyio.run_process([str(program), "--version"])
    except (OSError, subprocess.CalledProcessError, TimeoutError) as error:
        remedy = "set S1_REDIS_SERVER to another one"
        return CheckResult(
            "redis-server", CheckGrade.FAIL, f"{program} does not run: {error}", remedy
        )
    version = shown.stdout.decode(errors="replace").split(" sha=")[0].strip()
    return CheckResult("redis-server", CheckGrade.OK, f"{program}: {version}")


async def _redis(settings: Settings) -> CheckResult:
    location = find_stream_store(None, settings, settings.state_dir)
    if location is not None:
        async with connected(location, settings) as client:
            return _cluster(str(location), await describe_cluster(client))
    with tempfile.TemporaryDirectory() as directory:
        binary = find_redis_server(str(settings.redis_server or ""))
        async with EmbeddedRedis(Path(directory), binary=binary) as redis:
            where = StreamStoreLocation(node_addresses(redis), "a test start of the embedded one")
            async with connect_cluster(where.addresses) as client:
                return _cluster(str(where), await describe_cluster(client))


def _cluster(where: str, report: ClusterReport) -> CheckResult:
    size = f"masters {report.masters}, replicas {report.replicas}"
    detail = f"{where}: version {report.version}, {size}"
    if report.problem:
        remedy = "see redis-cli CLUSTER INFO and CLUSTER NODES on that node"
        return CheckResult(
            "redis", CheckGrade.FAIL, f"{detail}; refuses writes: {report.problem}", remedy
        )
    return CheckResult("redis", CheckGrade.OK, f"{detail}, cluster_state ok")


async def _http(settings: Settings) -> CheckResult:
    where = f"{settings.http_host}:{settings.http_port}"
    demo = read_demo_state(settings.state_dir)
    if demo is not None:
        missing = await unready_components(demo.url)
        if missing:
            waits = "; ".join(f"{part.name}: {part.detail}" for part in missing)
            return CheckResult("http", CheckGrade.FAIL, f"{demo.url} is not ready: {waits}")
        return CheckResult("http", CheckGrade.OK, f"{demo.url} is ready")
    try:
        bind(
            settings.http_host,
            settings.http_port,
            loopback_only=settings.api_tokens_file is None,
        ).close()
    except ConfigurationError as error:
        return CheckResult("http", CheckGrade.FAIL, str(error))
    free = "picks a free port" if settings.http_port == 0 else "free"
    return CheckResult("http", CheckGrade.OK, f"{where}: {free}")


def check_open_files(limit: int) -> CheckResult:
    """Whether *limit*, that `serve` will have too, leaves enough HTTP connections."""
    name = "open files"
    try:
        connections = connections_max(limit)
    except ConfigurationError as error:
        return CheckResult(name, CheckGrade.FAIL, str(error))
    detail = f"at most {limit}, so {connections} HTTP connections"
    if connections == CONNECTIONS_MAX:
        return CheckResult(name, CheckGrade.OK, detail)
    remedy = (
        f"{CONNECTIONS_MAX} need {CONNECTIONS_MAX + OTHER_FILES} files: raise the hard limit "
        "(ulimit -Hn, LimitNOFILE= of a systemd unit, --ulimit nofile= of docker run)"
    )
    return CheckResult(name, CheckGrade.WARN, detail, remedy)


def _state_directory(directory: Path) -> CheckResult:
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return CheckResult("state dir", CheckGrade.OK, f"{directory} is writable")
    remedy = f"make {existing} writable, or set S1_STATE_DIR to another directory"
    return CheckResult("state dir", CheckGrade.FAIL, f"{directory} cannot be written", remedy)
