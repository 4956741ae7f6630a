"""Quarantine: too many rows of one status class that vanish or change at once are held back."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from msgspec import Struct, structs

from chimera_s1.domain.canonical import canonical_json
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.canonical import listing_hash
from chimera_s1.domain.instruments.difference import filter_type
from chimera_s1.domain.instruments.enumerations import StatusClass, status_class
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import InstrumentSpec, RegistryRow

CLASS_ROWS_MIN = 20
"""A smaller class is never held: one row of it is too large a share."""

SHARE_MAX_PERCENT = 20
_MARKET_LOT_SIZE = "MARKET_LOT_SIZE"
CONFIRM_AFTER_MS = 3_600_000
"""A second read that says the same applies what is held, this long after the first."""


class Quarantine(Struct, frozen=True):
    """Attributes:
    held: What is held from now on.
    newly_held: Those of *held* that were not held before, or now say something else.
    released: What was held and is not any more: confirmed, accepted, or withdrawn by the venue.
    """

    held: tuple[HeldRows, ...] = ()
    newly_held: tuple[HeldRows, ...] = ()
    released: tuple[HeldRows, ...] = ()

    def instruments(self) -> frozenset[InstrumentId]:
        return frozenset(i for rows in self.held for i in rows.instruments)


def judge(
    stored: Iterable[RegistryRow],
    listed: Mapping[InstrumentId, InstrumentSpec],
    vanished: frozenset[InstrumentId],
    before: Sequence[HeldRows],
    now: int,
) -> Quarantine:
    """Args:
    stored: The registry's rows of the venue.
    listed: The venue's rows that could be read.
    vanished: Stored rows that the venue lists no more.
    before: What the last read left held.
    """
    sizes: Counter[StatusClass] = Counter()
    affected: defaultdict[StatusClass, dict[InstrumentId, str]] = defaultdict(dict)
    for row in stored:
        if not row.content.listed:
            continue  # vanished before; when it returns, it is like a new one
        spec = row.content.spec
        row_class = status_class(spec.status)
        sizes[row_class] += 1
        if row.instrument in vanished:
            affected[row_class][row.instrument] = ""
        elif (new := listed.get(row.instrument, spec)) != spec:
            old_rules, new_rules = _without_market_maximum(spec), _without_market_maximum(new)
            if old_rules != new_rules and not _resumes(old_rules, new_rules):
                affected[row_class][row.instrument] = listing_hash(new_rules)
    suspect = {
        row_class: _held(row_class, rows, sizes[row_class], now)
        for row_class, rows in affected.items()
        if sizes[row_class] >= CLASS_ROWS_MIN
        and len(rows) * 100 > sizes[row_class] * SHARE_MAX_PERCENT
    }
    return _compare(suspect, {rows.status_class: rows for rows in before}, now)


def _resumes(old: InstrumentSpec, new: InstrumentSpec) -> bool:
    """Trading goes on under the old rules: after a venue-wide halt all rows do so at once."""
    return new.status == "TRADING" and structs.replace(old, status=new.status) == new


def _without_market_maximum(spec: InstrumentSpec) -> InstrumentSpec:
    """Recorded maxima of spot (`104.34142329`) are computed, so all may change together: no sign of
    a wrong listing, and orders must not be sized by old ones. What else the filter says has fields
    of its own.
    """
    filters = tuple(
        _MARKET_LOT_SIZE if filter_type(text) == _MARKET_LOT_SIZE else text for text in spec.filters
    )
    return structs.replace(spec, market_max_qty=None, filters=filters)


def _held(
    row_class: StatusClass, rows: Mapping[InstrumentId, str], size: int, now: int
) -> HeldRows:
    gone = sum(1 for text in rows.values() if not text)
    return HeldRows(
        since=now,
        digest=sha256(
            canonical_json(sorted((str(i), text) for i, text in rows.items())).encode()
        ).hexdigest(),
        status_class=row_class.value,
        reason=f"of {size} rows that are {row_class.value}, {gone} would vanish and "
        f"{len(rows) - gone} would change; more than {SHARE_MAX_PERCENT} % at once is held",
        instruments=tuple(sorted(rows)),
    )


def _compare(
    suspect: Mapping[StatusClass, HeldRows], before: Mapping[str, HeldRows], now: int
) -> Quarantine:
    held: list[HeldRows] = []
    newly_held: list[HeldRows] = []
    for row_class, rows in sorted(suspect.items()):
        earlier = before.get(row_class.value)
        if earlier is None or earlier.digest != rows.digest:
            held.append(rows)
            newly_held.append(rows)
        elif now - earlier.since < CONFIRM_AFTER_MS:
            # A clock that was set back must not make it wait for longer than from now.
            held.append(structs.replace(rows, since=min(earlier.since, now)))
    still = {rows.status_class for rows in held}
    released = tuple(rows for name, rows in sorted(before.items()) if name not in still)
    return Quarantine(tuple(held), tuple(newly_held), released)
