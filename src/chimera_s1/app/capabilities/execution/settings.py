"""The settings of orders."""

from chimera_s1.app.settings.core import CoreSettings


class ExecutionSettings(CoreSettings):
    """Orders use the exchange key; without one there are none."""
