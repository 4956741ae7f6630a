"""Permissions of API tokens."""

from enum import StrEnum


class Scope(StrEnum):
    """One permission; none contains another."""

    READ = "read"
    TREASURY_TRANSFER = "treasury:transfer"
    TREASURY_RESOLVE = "treasury:resolve"
    JOBS_RUN = "jobs:run"
    ORDERS_TRADE = "orders:trade"
    MODE_HALT = "mode:halt"

    @property
    def requires_tokens(self) -> bool:
        """False for READ: read routes are open while no tokens are configured."""
        return self is not Scope.READ
