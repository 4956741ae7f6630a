"""Whether a Redis stream still holds an entry."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Execute: TypeAlias = Callable[..., Awaitable[Any]]


async def contains_entry(execute: Execute, stream: str, entry_id: str) -> bool:
    """True also for an entry older than the oldest one: it was trimmed, not lost."""
    if await execute("XRANGE", stream, entry_id, entry_id):
        return True
    oldest = await execute("XRANGE", stream, "-", "+", "COUNT", 1)
    return bool(oldest) and _id_order(oldest[0][0]) > _id_order(entry_id)


def _id_order(entry_id: str) -> tuple[int, int]:
    """`1772514460893-0` as a sort key."""
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number)
