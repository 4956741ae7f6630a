"""The shape of `GET /active`: the only module that knows S10's field names.

    {"rev": 12,
     "instruments": [{"venue": "perp", "symbol": "BTCUSDT",
                      "spread_bp_limit": 5, "depth_top1_usdt_min": 20000}],
     "defaults": {"spread_bp_limit": 10, "depth_top1_usdt_min": 5000}}

Unknown fields are reported and otherwise ignored. Values are checked by the domain.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chimera_s1.domain.operations.active_configuration import (
    InstrumentDraft,
    SnapshotDraft,
    ThresholdsDraft,
)
from chimera_s1.domain.printable import escape_unprintable

UNKNOWN_FIELDS_MAX = 20
_NAME_CHARS_MAX = 60
_THRESHOLDS = ("spread_bp_limit", "depth_top1_usdt_min")
_TOP = frozenset({"rev", "instruments", "defaults"})
_ROW = frozenset({"venue", "symbol", *_THRESHOLDS})


def read_document(body: bytes) -> SnapshotDraft:
    """*body* as a draft; what is wrong with its form is among its problems."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _formless(f"the body is not JSON: {error}")
    if not isinstance(document, dict):
        return _formless(f"the body is {_kind(document)}, not an object")
    problems: list[str] = []
    defaults = _object(document.get("defaults", {}), "defaults", problems)
    rows = _rows(document, problems)
    return SnapshotDraft(
        rev=document.get("rev"),
        defaults=_thresholds(defaults),
        instruments=tuple(_instrument(where, row) for where, row in rows.items()),
        problems=tuple(problems),
        unknown_fields=_unknown(document, defaults, rows.values()),
    )


def _rows(document: Mapping[str, Any], problems: list[str]) -> dict[str, Mapping[str, Any]]:
    """The rows that are objects, by their names."""
    rows = document.get("instruments")
    if not isinstance(rows, list):
        problems.append(f"instruments is {_kind(rows)}, not a list")
        return {}
    found = {f"instruments[{index}]": row for index, row in enumerate(rows)}
    problems += [
        f"{where} is {_kind(row)}, not an object"
        for where, row in found.items()
        if not isinstance(row, dict)
    ]
    return {where: row for where, row in found.items() if isinstance(row, dict)}


def _object(value: object, name: str, problems: list[str]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(f"{name} is {_kind(value)}, not an object")
        return {}
    return value


def _instrument(where: str, row: Mapping[str, Any]) -> InstrumentDraft:
    return InstrumentDraft(where, row.get("venue"), row.get("symbol"), _thresholds(row))


def _thresholds(fields: Mapping[str, Any]) -> ThresholdsDraft:
    return ThresholdsDraft(*(fields.get(name) for name in _THRESHOLDS))


def _unknown(
    document: Mapping[str, Any], defaults: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    names = dict.fromkeys(sorted(document.keys() - _TOP))
    names |= dict.fromkeys(f"defaults.{name}" for name in sorted(defaults.keys() - {*_THRESHOLDS}))
    for row in rows:
        names |= dict.fromkeys(f"instruments[].{name}" for name in sorted(row.keys() - _ROW))
    return tuple(escape_unprintable(name[:_NAME_CHARS_MAX]) for name in names)[:UNKNOWN_FIELDS_MAX]


def _formless(problem: str) -> SnapshotDraft:
    return SnapshotDraft(None, ThresholdsDraft(), (), (escape_unprintable(problem),))


def _kind(value: object) -> str:
    """In JSON's words."""
    match value:
        case None:
            return "missing or null"
        case bool():
            return "true or false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return "a number"
