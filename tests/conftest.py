"""Settings of every test."""

from hypothesis import HealthCheck, settings

# A busy machine draws and runs slowly; no test may fail for that.
settings.register_profile("no-timing", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-timing")
