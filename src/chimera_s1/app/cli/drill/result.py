"""The result of one drill: what was measured, and which targets were missed."""

from collections.abc import Sequence

from msgspec import Struct

from chimera_s1.app.cli.drill.drill import Drill


class Measurements(Struct, frozen=True):
    """What one drill measured.

    Attributes:
        fired: How often each fault fired, in the drill's order.
        noticed_s: Seconds from the fault to its detection; None where it was not detected.
        noticed_by: The sign of detection.
        over_s: Seconds from the fault, or from Redis answering again, to recovery; None without
            recovery.
        missing: Windows without a quote, of the instrument that misses most.
        wrong: Errors in published quotes.
        mistimed: Quotes with a wrong ts, of the instrument that has most.
        lost: Connections lost.
        late_ms: From a window's end to the entry, 99th percentile.
        remark: Shown with the result.
    """

    fired: tuple[int, ...]
    noticed_s: float | None
    noticed_by: str
    over_s: float | None
    missing: int
    wrong: tuple[str, ...]
    mistimed: int
    lost: int
    late_ms: float | None
    remark: str = ""


class DrillResult(Struct, frozen=True):
    """A drill with its measurements; *missed* names the missed targets."""

    drill: Drill
    measured: Measurements
    missed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.missed


def evaluate(drill: Drill, measured: Measurements) -> DrillResult:
    """Compare *measured* with the targets of *drill*."""
    targets = drill.targets
    missed = [
        *_not_fired(measured.fired),
        *_too_slow("noticed", measured.noticed_s, targets.noticed_s),
        *_too_slow("over", measured.over_s, targets.over_s),
        *_too_many("windows missing", measured.missing, targets.missing),
        *_too_many("quotes of an instrument mistimed", measured.mistimed, targets.mistimed),
        *_too_many("connections lost", measured.lost, targets.lost),
        *_too_many("ms late", measured.late_ms, targets.late_ms),
    ]
    if drill.noticed_signs and measured.noticed_s is None and targets.noticed_s is None:
        missed.append("never noticed")
    if measured.over_s is None and targets.over_s is None:
        missed.append("not over in time")
    if measured.wrong:
        missed.append(f"{len(measured.wrong)} wrong: {measured.wrong[0]}")
    return DrillResult(drill, measured, tuple(missed))


def _not_fired(counts: Sequence[int]) -> list[str]:
    silent = sum(count == 0 for count in counts)
    return [f"{silent} of {len(counts)} faults did not fire"] if silent else []


def _too_slow(what: str, seconds: float | None, target_s: float | None) -> list[str]:
    if target_s is None:
        return []
    if seconds is None:
        return [f"never {what}"]
    return [f"{what} after {seconds:.1f} s, not {target_s:g}"] if seconds > target_s else []


def _too_many(what: str, value: float | None, target: float | None) -> list[str]:
    if target is None or value is None or value <= target:
        return []
    return [f"{value:g} {what}, at most {target:g} allowed"]
