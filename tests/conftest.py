"""Settings of every test."""

import gc

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


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: almost nothing of it is garbage."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest ones first."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish() -> None:
    """Leave modules and tests out of every later collection."""
    gc.freeze()
    gc.enable()
