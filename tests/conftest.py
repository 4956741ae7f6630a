"""Settings of every test."""

import gc

from hypothesis import HealthCheck, settings

# A busy machine draws and runs slowly; no test may fail for that.
settings.register_profile("no-timing", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-timing")


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: almost nothing of it is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave modules and tests out of every later collection."""
    gc.freeze()
    gc.enable()
