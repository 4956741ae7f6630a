"""Health report of the configuration that S10 publishes."""

from msgspec import Struct

from chimera_s1.domain.operations.active_configuration import Refusal, Snapshot
from chimera_s1.domain.operations.health import Level, count

UNAVAILABLE_GRACE_MS = 30_000
"""A restart of S10 needs no operator: the snapshot in force stays."""


class ConfigurationReport(Struct, frozen=True, kw_only=True):
    """What is in force, and what keeps newer revisions from it.

    Attributes:
        in_force: None before the first snapshot.
        in_force_ms: Since when; None for a snapshot that was kept by an earlier run.
        confirmed_ago_ms: When S10 last served the snapshot in force; None if not since the start.
        unavailable: Why the last request failed, in S10's own words; empty if it was answered.
        refusal: Why the snapshot that S10 serves is not taken.
        announced: The revision in `cfg:active_rev`; None without one.
        unannounced: Why `cfg:active_rev` or `cfg:events` cannot be read; empty if they can.
        not_kept: Why the snapshot in force could not be saved; empty if it was.
    """

    in_force: Snapshot | None = None
    in_force_ms: float | None = None
    confirmed_ago_ms: float | None = None
    unavailable: str = ""
    refusal: Refusal | None = None
    announced: int | None = None
    unannounced: str = ""
    not_kept: str = ""

    @property
    def level(self) -> Level:
        """ORANGE while S10 cannot change what is in force; YELLOW for the rest."""
        if self.unavailable or self.refusal is not None or self._overdue:
            return Level.ORANGE
        if self.in_force is None or self.unannounced or self.not_kept:
            return Level.YELLOW
        return Level.GREEN

    @property
    def grace_ms(self) -> float:
        """None for a refusal: S10 serves it until it publishes another revision."""
        return 0 if self.refusal is not None else UNAVAILABLE_GRACE_MS

    @property
    def sentence(self) -> str:
        return "; ".join(part for part in (self._state(), *self._problems()) if part)

    @property
    def _overdue(self) -> bool:
        """A newer revision is announced than S10 serves."""
        newest = -1 if self.in_force is None else self.in_force.rev
        return self.announced is not None and self.announced > newest

    def _state(self) -> str:
        if self.in_force is None:
            return "no configuration yet, so there are no thresholds"
        named = count(len(self.in_force.instruments), "instrument")
        return f"rev {self.in_force.rev} ({named}) {self._since()}{self._confirmed()}"

    def _since(self) -> str:
        if self.in_force_ms is None:
            return "in force, kept from an earlier run"
        return f"in force for {self.in_force_ms / 1000:.0f} s"

    def _confirmed(self) -> str:
        if self.confirmed_ago_ms is None:
            return ", not confirmed by S10 since the start"
        return f", confirmed by S10 {self.confirmed_ago_ms / 1000:.0f} s ago"

    def _problems(self) -> tuple[str, ...]:
        return (
            f"S10 does not answer: {self.unavailable}" if self.unavailable else "",
            self._refused(),
            self._announced_only(),
            f"{self.unannounced}; S10 is asked regularly" if self.unannounced else "",
            f"not saved, a restart would not have it: {self.not_kept}" if self.not_kept else "",
        )

    def _refused(self) -> str:
        if self.refusal is None:
            return ""
        return f"S10's snapshot is refused: {self.refusal.text}; publish a corrected one"

    def _announced_only(self) -> str:
        # The other problems already say why it is not in force.
        if not self._overdue or self.unavailable or self.refusal is not None:
            return ""
        return f"cfg:active_rev says {self.announced}, which S10 does not serve yet"
