"""Wrong pages of the funding history and the income: valid HTTP, and rows not to be believed."""

from typing import Any

import orjson

MANGLED_EVERY = 5


def spoil_rows(variant: str, body: bytes) -> bytes:
    """*body* as the `funding` fault *variant* has it."""
    rows: list[dict[str, Any]] = orjson.loads(body)
    return orjson.dumps(_spoiled(variant, rows))


def _spoiled(variant: str, rows: list[dict[str, Any]]) -> list[object]:
    match variant:
        case "unordered":
            return list(reversed(rows))
        case "duplicated":
            return [row for row in rows for _ in range(2)]
        case "short":
            return list(rows[: len(rows) // 2])
        case "mangled":
            return [_mangled(row, number) for number, row in enumerate(rows)]
        case _:
            return []


def _mangled(row: dict[str, Any], number: int) -> object:
    """*row*, or every MANGLED_EVERY-th time one that cannot be read; each time another defect."""
    if number % MANGLED_EVERY != MANGLED_EVERY - 1:
        return row
    time, amount = ("time", "income") if "income" in row else ("fundingTime", "fundingRate")
    defects = (
        {**row, amount: "NaN"},
        {key: value for key, value in row.items() if key != time},
        {**row, time: str(row[time])},
        {**row, "symbol": 7},
        {**row, amount: None},
        None,
        "row",
    )
    return defects[number // MANGLED_EVERY % len(defects)]
