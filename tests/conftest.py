"""Settings of every test."""

import gc
import os
import random
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

LONG = {
    "test_static_checks.py",
    "test_treasury_kill_loop.py",
    "test_halted_service.py",
    "test_instruments_service.py",
    "test_funding_service.py",
    "test_service_outages.py",
    "test_demo.py",
}
"""Modules of the longest tests: no worker may begin one when the others are done."""

# A busy machine draws and runs slowly; no test may fail for that.
settings.register_profile("no-timing", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-timing")


class ShuffledCollection:
    """Lets a worker collect in an order of its own: what one has compiled, the others only read."""

    def __init__(self, worker: str) -> None:
        self._chance = random.Random(worker)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Directory):
            self._chance.shuffle(report.result)
        return report


def pytest_configure(config: pytest.Config) -> None:
    """A hook of this module would not be called for folders below it; one of a plugin is."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        config.pluginmanager.register(ShuffledCollection(worker))


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: almost nothing of it is garbage."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest ones first, then in the order of paths, which all workers share."""
    items.sort(key=lambda item: (item.path.name not in LONG, item.path))


def pytest_collection_finish() -> None:
    """Leave modules and tests out of every later collection."""
    gc.freeze()
    gc.enable()
