"""Import rules: the contracts of pyproject.toml, and the packages that may import each library."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "chimera_s1"
CLIENT = "chimera_s1_client"

CONFINED = {
    "aiohttp": {"adapters.simulator"},
    "arango": {"adapters.arango"},
    "chimera_s1_client": {"app.cli"},
    "dependency_injector": {"app.container"},
    "hiredis": {"adapters.redis"},
    "httpx": set(),  # Litestar's test client requires it; it is no longer maintained
    "httpx2": {"adapters.binance", "adapters.s10"},
    "litestar": {
        "app.container",
        "app.web",
        "app.capabilities.execution.web",
        "app.capabilities.funding.web",
        "app.capabilities.instruments.web",
        "app.capabilities.market.web",
        "app.capabilities.operations.web",
        "app.capabilities.trading_mode.web",
        "app.capabilities.treasury.web",
    },
    "picows": {"adapters.binance", "adapters.simulator"},
    "prometheus_client": {"adapters.telemetry"},
    "psutil": {"adapters.redis", "app.cli.demo.child_process"},
    "pydantic": {
        "app.settings",
        "app.service_settings",
        "app.cli.config.effective_settings",
        "app.capabilities.market.settings",
        "app.capabilities.treasury.settings",
    },
    "pydantic_settings": {"app.settings"},
    "redis": {"adapters.redis", "adapters.simulator.s10"},
    "requests": {"adapters.arango"},
    "sqlite3": {"adapters.sqlite"},
    "rich": {"app.cli"},
    "typer": {"app.cli"},
    "urllib3": {"adapters.arango"},
    "uvicorn": {"app.web.server", "app.web.connection_protocol"},
    "zstandard": {"adapters.compressed_lines", "adapters.market_file"},
}
"""Library -> the packages that may import it. Elsewhere its types and errors are unknown, so they
cannot leak; a new line here is a decision.
"""


@cache
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, CLIENT, include_external_packages=True, cache_dir=None)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def third_party(package: str) -> set[str]:
    """Names of the libraries that *package* imports, the standard library left out."""
    graph = imports()
    modules = {module for module in graph.modules if within(module, package)}
    names = {
        name.partition(".")[0]
        for m in modules
        for name in graph.find_modules_directly_imported_by(m)
    }
    return names - sys.stdlib_module_names - {package.partition(".")[0]}


def test_every_import_contract_is_kept() -> None:
    """The contracts in pyproject.toml hold; the output names the import that breaks one."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_domain_depends_on_msgspec_and_nothing_else() -> None:
    """Any further import in the domain needs an ADR."""
    assert third_party(f"{PACKAGE}.domain") == {"msgspec"}


def test_the_client_depends_on_three_libraries() -> None:
    """A consumer installs it without the service."""
    assert third_party(CLIENT) == {"httpx2", "msgspec", "redis"}


@pytest.mark.parametrize("library", CONFINED)
def test_a_library_is_known_only_where_it_is_wrapped(library: str) -> None:
    """No module outside the packages named for it imports *library*."""
    graph = imports()
    found = {each for each in graph.modules if within(each, library)}
    importers = {
        module
        for each in found
        for module in graph.find_modules_that_directly_import(each)
        if within(module, PACKAGE)
    }
    allowed = [f"{PACKAGE}.{name}" for name in CONFINED[library]]

    assert not [m for m in importers if not any(within(m, package) for package in allowed)]
