"""Collects what an entry does next while its rules are gone through."""

from chimera_s1.domain.execution.entries.steps import NextSteps, Step

_SECOND_MS = 1_000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS


class Plan:
    """Of one decision, made at *now_ms*."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._steps: list[Step] = []
        self._wake_ms: int | None = None
        self._waits: list[tuple[int, str]] = []

    def add(self, step: Step) -> None:
        self._steps.append(step)

    def is_due(self, at_ms: int, what: str) -> bool:
        """Whether *at_ms* has come; if not, the next decision is made then, and *what* is shown."""
        if at_ms <= self.now_ms:
            return True
        if self._wake_ms is None or at_ms < self._wake_ms:
            self._wake_ms = at_ms
        self._waits.append((at_ms, f"{what}, until {clock_text(at_ms)}"))
        return False

    def wait_for(self, what: str) -> None:
        """Something that is reported when it happens; *what* is shown before any timer."""
        self._waits.append((0, what))

    def next_steps(self) -> NextSteps:
        waiting_for = min(self._waits, key=lambda wait: wait[0])[1] if self._waits else ""
        return NextSteps(steps=tuple(self._steps), wake_ms=self._wake_ms, waiting_for=waiting_for)


def clock_text(at_ms: int) -> str:
    """The time of day, UTC: `12:00:05.000`."""
    hours, rest = divmod(at_ms % _DAY_MS, _HOUR_MS)
    minutes, rest = divmod(rest, _MINUTE_MS)
    seconds, millis = divmod(rest, _SECOND_MS)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{millis:03}"
