"""When settlements happen: on full hours, every 1, 2, 4 or 8 hours."""

from typing import Final

from msgspec import Struct

from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.operations.schedule import HOUR_MS

OFF_GRID_MS: Final = 60_000
"""A settlement is published with a time some ms off its full hour, never this much."""

OVERDUE_MS: Final = 2 * HOUR_MS
"""A settlement is published within this, or something is wrong."""

INTERVALS_H: Final = (8, 4, 2, 1)
INTERVAL_MAX_H: Final = 8
"""Every interval divides it: whatever interval is in force, these hours have a settlement."""


class ContractFacts(Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a contract beside its settlements.

    Attributes:
        expects_from: When trading began, epoch ms; 0 if it is not known.
        expects_until: No settlement is expected from then on: the contract is delisted, or does
            not trade (0); None while it trades.
        interval_h: In force now; None if it is not known.
        due_at: The latest settlement known to have happened, because the mark price stream has
            moved on to the next; 0 if none is.
    """

    expects_from: int = 0
    expects_until: int | None = None
    interval_h: int | None = None
    due_at: int = 0


class LastRegular(Struct, frozen=True, gc=False):
    """The latest regular settlement of a contract.

    Attributes:
        hour: Its full hour, epoch ms.
        interval_h: Hours since the one before it; None where that is not known.
    """

    hour: int
    interval_h: int | None


def full_hour(time: int) -> int:
    """The full hour next to *time*, epoch ms."""
    return (time + HOUR_MS // 2) // HOUR_MS * HOUR_MS


def next_multiple(time: int, hours: int) -> int:
    """The first multiple of *hours* since midnight UTC that is later than *time*."""
    step = hours * HOUR_MS
    return (time // step + 1) * step


def first_expected(facts: ContractFacts, last: LastRegular | None, since: int) -> int | None:
    """The full hour of the first settlement to expect after *last*, or, without one, from *since*
    on; None if there is none to expect.

    The interval may just have changed, so it is the shortest that is known: this hour may pass
    without a settlement.
    """
    after = max(facts.expects_from, since - 1) if last is None else last.hour
    hour = next_multiple(after, _shortest_interval(facts, last))
    if facts.due_at > after:
        hour = min(hour, full_hour(facts.due_at))
    return _within(facts, hour)


def certain_after(facts: ContractFacts, last: LastRegular) -> int | None:
    """The first full hour after *last* that has a settlement whatever interval is in force."""
    hour = next_multiple(last.hour, INTERVAL_MAX_H)
    if facts.due_at > last.hour:
        hour = min(hour, full_hour(facts.due_at))
    return _within(facts, hour)


def is_regular(key: SettlementKey) -> bool:
    return key.rate_type == REGULAR


def _shortest_interval(facts: ContractFacts, last: LastRegular | None) -> int:
    spacings = (facts.interval_h, None if last is None else last.interval_h)
    shortest = min((hours for hours in spacings if hours), default=INTERVAL_MAX_H)
    # A spacing across a change is none of the allowed intervals; the next shorter one is.
    return next(hours for hours in INTERVALS_H if hours <= max(1, shortest))


def _within(facts: ContractFacts, hour: int) -> int | None:
    until = facts.expects_until
    return hour if until is None or hour < until else None
