"""Health report of the store."""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level

STORE_GRACE_MS = 20_000
"""A cluster of ArangoDB takes about 15 s to replace a leader that is gone."""


class StoreReport(Struct, frozen=True):
    """What the last check of the store said.

    Attributes:
        place: Which store.
        checked: Whether a check has ended.
        error: Why it failed, in the store's words, with what to do; empty if it succeeded.
        waits: Whether it may work again by itself.
    """

    place: str
    checked: bool
    error: str = ""
    waits: bool = True

    @property
    def level(self) -> Level:
        if self.error:
            return Level.ORANGE
        return Level.GREEN if self.checked else Level.YELLOW

    @property
    def grace_ms(self) -> float:
        return STORE_GRACE_MS if self.waits else 0

    @property
    def sentence(self) -> str:
        if self.error:
            return (
                f"{self.error}; meanwhile no transfer is accepted, jobs do not run and instruments "
                "are not updated; quotes are published"
            )
        return f"{self.place} works" if self.checked else f"{self.place} is being asked"
