"""How long a test waits before it fails."""

TIMEOUT_S = 120
"""Only against waiting for ever: far longer than anything here takes, also on a busy machine."""
