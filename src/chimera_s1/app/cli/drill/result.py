"""One row of the table: what was measured, and whether each target was reached."""

from collections.abc import Sequence

from msgspec import Struct

from chimera_s1.app.cli.drill.drill import Drill


class Measurements(Struct, frozen=True):
    """What one drill found.

    Attributes:
        fired: How often each fault fired, in their order.

        noticed_s: Seconds from the begin; None where no sign was seen in time.

        noticed_by: The sign.

        over_s: Seconds from the begin, or from Redis being back; None where it was not over in
            time.

        missing: Windows without a quote, of the instrument that lacks most.

        wrong: What was wrong with published quotes.

        mistimed: Quotes with a ts that does not fit, of the instrument that has most.

        lost: Connections lost.

        late_ms: From a window's end to the entry, 99th percentile.

        remark: What else is worth knowing.
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
    """A drill with its result.

    Attributes:
        missed: What is not as it should be; empty for PASS.
    """

    drill: Drill
    measured: Measurements
    missed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """All targets were reached, and the fault really happened."""
        return not self.missed


def evaluate(drill: Drill, measured: Measurements) -> DrillResult:
    """Compare *measured* with the targets of *drill*."""
    targets = drill.targets
    missed = [
        *_unfired_problems(measured.fired),
        *_lateness_problems("noticed", measured.noticed_s, targets.noticed_s),
        *_lateness_problems("over", measured.over_s, targets.over_s),
        *_excess_problems("windows missing", measured.missing, targets.missing),
        *_excess_problems("quotes of an instrument mistimed", measured.mistimed, targets.mistimed),
        *_excess_problems("connections lost", measured.lost, targets.lost),
        *_excess_problems("ms late", measured.late_ms, targets.late_ms),
    ]
    if drill.noticed_signs and measured.noticed_s is None and targets.noticed_s is None:
        missed.append("never noticed")
    if measured.over_s is None and targets.over_s is None:
        missed.append("not over in time")
    if measured.wrong:
        missed.append(f"{len(measured.wrong)} wrong: {measured.wrong[0]}")
    return DrillResult(drill, measured, tuple(missed))


def _unfired_problems(counts: Sequence[int]) -> list[str]:
    silent = sum(count == 0 for count in counts)
    return [f"{silent} of {len(counts)} faults did not fire"] if silent else []


def _lateness_problems(what: str, seconds: float | None, target_s: float | None) -> list[str]:
    if target_s is None:
        return []
    if seconds is None:
        return [f"never {what}"]
    return [f"{what} after {seconds:.1f} s, not {target_s:g}"] if seconds > target_s else []


def _excess_problems(what: str, value: float | None, target: float | None) -> list[str]:
    if target is None or value is None or value <= target:
        return []
    return [f"{value:g} {what}, at most {target:g} allowed"]
