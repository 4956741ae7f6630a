"""Health of the registry: each level, and its sentence."""

import pytest
from msgspec import structs

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.health import (
    FIRST_READ_GRACE_MS,
    LATE_AFTER_MS,
    InstrumentsReport,
    VenueRegistry,
)
from chimera_s1.domain.operations.health import Level

PERP = VenueRegistry(venue=Venue.PERP, instruments=930, age_ms=120_000)
NOT_READ = VenueRegistry(venue=Venue.SPOT, instruments=None, age_ms=None)
LATE_MS = LATE_AFTER_MS + 1

VENUES: dict[str, tuple[VenueRegistry, Level, str]] = {
    "current": (PERP, Level.GREEN, "perp: 930 instruments, read 2 min ago"),
    "one": (
        structs.replace(PERP, instruments=1),
        Level.GREEN,
        "perp: 1 instrument, read 2 min ago",
    ),
    "not read yet": (NOT_READ, Level.ORANGE, "spot: no listing yet"),
    "not read, and why": (
        structs.replace(NOT_READ, problem="GET /api/v3/exchangeInfo: 503"),
        Level.ORANGE,
        "spot: no listing yet; GET /api/v3/exchangeInfo: 503",
    ),
    "held": (
        structs.replace(PERP, held=40),
        Level.ORANGE,
        (
            "perp: 930 instruments, read 2 min ago; 40 rows in quarantine: compare with Binance, "
            "then chimera-s1 instruments sync --accept; a read an hour later that says the same "
            "applies them"
        ),
    ),
    "unusable rows": (
        structs.replace(PERP, unusable=1),
        Level.YELLOW,
        "perp: 930 instruments, read 2 min ago; 1 row cannot be decoded",
    ),
    "a problem": (
        structs.replace(PERP, problem="GET /fapi/v1/leverageBracket: 503"),
        Level.YELLOW,
        "perp: 930 instruments, read 2 min ago; GET /fapi/v1/leverageBracket: 503",
    ),
    "late": (
        structs.replace(PERP, age_ms=LATE_MS),
        Level.YELLOW,
        "perp: 930 instruments, read 1500 min ago",
    ),
    "late, and why": (
        structs.replace(PERP, age_ms=LATE_MS, problem="no route"),
        Level.ORANGE,
        "perp: 930 instruments, read 1500 min ago; no route",
    ),
    "known, and never read": (
        structs.replace(PERP, age_ms=None, problem="no route"),
        Level.ORANGE,
        "perp: 930 instruments; no route",
    ),
}

REPORTS: dict[str, tuple[dict[str, object], Level, str]] = {
    "all is well": ({}, Level.GREEN, ""),
    "no key": (
        {"has_key": False},
        Level.GREEN,
        "; no leverage brackets: they need an exchange key",
    ),
    "refused by the store": (
        {"refused": 2},
        Level.ORANGE,
        "; the store refuses 2 changes: chimera-s1 dead-letters list shows them",
    ),
    "store away": (
        {"store_problem": "disk I/O error"},
        Level.YELLOW,
        "; the stored registry cannot be read: disk I/O error",
    ),
    "relay behind": (
        {"relay_problem": "no node"},
        Level.YELLOW,
        "; changes do not reach ops:events: no node",
    ),
}


def report(*venues: VenueRegistry, **fields: object) -> InstrumentsReport:
    return structs.replace(InstrumentsReport(venues=venues, has_key=True), **fields)


@pytest.mark.parametrize("case", VENUES)
def test_a_venue_says_what_is_known_of_it_and_what_is_wrong(case: str) -> None:
    venue, level, sentence = VENUES[case]

    assert (report(venue).level, report(venue).sentence) == (level, sentence)


@pytest.mark.parametrize("case", REPORTS)
def test_the_registry_says_what_concerns_all_venues(case: str) -> None:
    fields, level, remark = REPORTS[case]
    found = report(PERP, **fields)

    assert (found.level, found.sentence) == (level, PERP.sentence + remark)


def test_the_worst_venue_decides_and_each_is_named() -> None:
    found = report(NOT_READ, PERP)

    assert found.level is Level.ORANGE
    assert found.sentence == f"{NOT_READ.sentence}; {PERP.sentence}"


def test_only_a_listing_that_is_still_awaited_has_time() -> None:
    """A person must look at what is held or refused."""
    assert report(NOT_READ, PERP).grace_ms == FIRST_READ_GRACE_MS
    assert report(structs.replace(PERP, held=1)).grace_ms == 0
    assert report(NOT_READ, refused=1).grace_ms == 0
    assert report(PERP).grace_ms == 0
