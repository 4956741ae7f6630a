"""What a read of a venue changes in the registry."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.canonical import spec_hash
from chimera_s1.domain.instruments.content_update import sources, with_extras
from chimera_s1.domain.instruments.difference import difference
from chimera_s1.domain.instruments.enumerations import UnknownValue, unknown_values
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    RegistryChange,
    RegistryRow,
)
from chimera_s1.domain.instruments.listing_read import ListingExtras, ListingRead
from chimera_s1.domain.instruments.quarantine import Quarantine, judge

_NO_EXTRAS = ListingExtras()


class SyncPlan(Struct, frozen=True, kw_only=True):
    """Attributes:
    changes: To apply, sorted by symbol.
    checked: Stored rows that the listing contained and that did not change.
    quarantine: What is held, newly held and released.
    unknown: Values that no stored row had so far, each with an example.
    refused: Why the listing cannot be one; then nothing is to be written.
    """

    quarantine: Quarantine
    changes: tuple[RegistryChange, ...] = ()
    checked: tuple[InstrumentId, ...] = ()
    unknown: tuple[tuple[UnknownValue, InstrumentId], ...] = ()
    refused: str = ""


def plan_sync(
    stored: Iterable[RegistryRow],
    read: ListingRead,
    *,
    now: int,
    extras: ListingExtras = _NO_EXTRAS,
    held: Sequence[HeldRows] = (),
    accept: bool = False,
    source: str = "exchangeInfo",
) -> SyncPlan:
    """Args:
    stored: The registry's rows; those of other venues are passed over.
    now: Epoch ms.
    held: What the last read left in quarantine.
    accept: Quarantine holds nothing.
    source: What caused this read: `exchangeInfo`, or `!contractInfo`.
    """
    rows = {row.instrument: row for row in stored if row.instrument.venue is read.venue}
    if refused := _refusal(rows, read):
        return SyncPlan(quarantine=Quarantine(held=tuple(held)), refused=refused)
    listed = {spec.instrument: spec for spec in read.specs}
    vanished = _vanished(rows, read)
    quarantine = (
        Quarantine(released=tuple(held))
        if accept
        else judge(rows.values(), listed, vanished, held, now)
    )
    contents = _contents(rows, listed, vanished, quarantine.instruments())
    changes = tuple(
        change
        for instrument, content in sorted(contents.items())
        if (
            change := _change(
                rows.get(instrument),
                # A caller knows the extras of what it has read, and of nothing else.
                with_extras(content, extras) if instrument in listed else content,
                now=now,
                seen=instrument in listed,
                source=source,
            )
        )
    )
    changed = {change.row.instrument for change in changes}
    return SyncPlan(
        quarantine=quarantine,
        changes=changes,
        checked=tuple(sorted((rows.keys() & listed.keys()) - changed)),
        unknown=_new_unknown_values(rows.values(), changes),
    )


def plan_extras(
    stored: Iterable[RegistryRow], extras: ListingExtras, *, now: int
) -> tuple[RegistryChange, ...]:
    """The changes where only *extras* were read, like new thresholds of S10."""
    changes = (
        _change(row, with_extras(row.content, extras), now=now)
        for row in stored
        if row.content.listed
    )
    return tuple(change for change in changes if change)


def _refusal(rows: Mapping[InstrumentId, RegistryRow], read: ListingRead) -> str:
    usable, unusable = len(read.specs), len(read.unusable)
    if not usable:
        return f"the listing of {read.venue.value} has no usable row"
    if not rows and unusable > usable:
        return (
            f"the first listing of {read.venue.value} has only {usable} usable rows, and "
            f"{unusable} that cannot be read"
        )
    return ""


def _vanished(
    rows: Mapping[InstrumentId, RegistryRow], read: ListingRead
) -> frozenset[InstrumentId]:
    unusable = {row.symbol for row in read.unusable}
    if "" in unusable:
        return frozenset()  # a row without a readable symbol may be any of them
    present = {spec.instrument for spec in read.specs}
    return frozenset(
        instrument
        for instrument, row in rows.items()
        if row.content.listed and instrument not in present and instrument.symbol not in unusable
    )


def _contents(
    rows: Mapping[InstrumentId, RegistryRow],
    listed: Mapping[InstrumentId, InstrumentSpec],
    vanished: frozenset[InstrumentId],
    held: frozenset[InstrumentId],
) -> dict[InstrumentId, InstrumentContent]:
    """The content of each instrument that is listed, or was so far, by what this read says."""
    contents = {i: row.content for i, row in rows.items() if row.content.listed}
    for instrument, spec in listed.items():
        if instrument not in held:
            old = rows[instrument].content if instrument in rows else InstrumentContent(spec=spec)
            contents[instrument] = structs.replace(old, spec=spec, listed=True)
    for instrument in vanished - held:
        contents[instrument] = structs.replace(contents[instrument], listed=False)
    return contents


def _change(
    stored: RegistryRow | None,
    content: InstrumentContent,
    *,
    now: int,
    seen: bool = False,
    source: str = "",
) -> RegistryChange | None:
    old = stored.content if stored else None
    if content == old:
        return None
    return RegistryChange(
        row=RegistryRow(
            content=content,
            spec_hash=spec_hash(content),
            version=stored.version + 1 if stored else 1,
            updated_at=now,
            checked_at=now if seen or stored is None else stored.checked_at,
        ),
        old_hash=stored.spec_hash if stored else "",
        difference=difference(old, content) if old else (),
        source=sources(old, content, source),
    )


def _new_unknown_values(
    rows: Iterable[RegistryRow], changes: Sequence[RegistryChange]
) -> tuple[tuple[UnknownValue, InstrumentId], ...]:
    found = unknown_values(change.row.content.spec for change in changes)
    if not found:
        return ()
    known = unknown_values(row.content.spec for row in rows)
    return tuple(sorted((value, i) for value, i in found.items() if value not in known))
