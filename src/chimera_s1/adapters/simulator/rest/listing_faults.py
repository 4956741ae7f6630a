"""Wrong replies of `exchangeInfo`: valid HTTP, and a listing that a client must not believe."""

from typing import Any

import orjson

HUGE_BYTES = 5_000_000
MANGLED_EVERY = 5
"""Of `mangled`: which rows are spoiled, counted from the MANGLED_EVERY-th."""

_HALTED_SPOT = "HALT"
_SETTLING = "SETTLING"
_STATUS_KEYS = ("status", "contractStatus")


def spoil_listing(variant: str, body: bytes, *, spot: bool) -> bytes:
    """*body* as the `listing` fault *variant* has it."""
    if variant == "truncated":
        return body[: len(body) // 2]
    listing: dict[str, Any] = orjson.loads(body)
    rows: list[dict[str, Any]] = listing["symbols"]
    match variant:
        case "empty":
            listing["symbols"] = []
        case "half":
            listing["symbols"] = rows[::2]
        case "settling":
            status = _HALTED_SPOT if spot else _SETTLING
            listing["symbols"] = [_with_status(row, status) for row in rows]
        case "mangled":
            listing["symbols"] = [_mangled(row, number) for number, row in enumerate(rows)]
        case _:
            listing["unknownField"] = "x" * HUGE_BYTES
    return orjson.dumps(listing)


def _with_status(row: dict[str, Any], status: str) -> dict[str, Any]:
    """COIN-M has another key for it."""
    return {**row, **{key: status for key in _STATUS_KEYS if key in row}}


def _mangled(row: dict[str, Any], number: int) -> object:
    """*row*, or every MANGLED_EVERY-th time one that cannot be read; each time another defect."""
    if number % MANGLED_EVERY != MANGLED_EVERY - 1:
        return row
    defects = (
        {**row, "filters": None},
        {key: value for key, value in row.items() if key != "filters"},
        {**row, "symbol": 7},
        {**row, "status": ["TRADING"], "contractStatus": ["TRADING"]},
        {**row, "baseAsset": None},
        None,
        "row",
    )
    return defects[number // MANGLED_EVERY % len(defects)]
