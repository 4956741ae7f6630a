"""Finds what still refers to something that should be forgotten."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any


def paths_to(root: object, wanted: object) -> list[str]:
    """Where *wanted*, or something equal, is found in what *root* keeps: attributes, keys, items.

    Functions and their closures are not followed.
    """
    found: list[str] = []
    seen: set[int] = set()
    open_paths: deque[tuple[str, Any]] = deque([("", root)])
    while open_paths:
        path, each = open_paths.popleft()
        if type(each) is type(wanted) and each == wanted:
            found.append(path)
        if id(each) not in seen:
            seen.add(id(each))
            open_paths.extend((path + step, part) for step, part in _parts(each))
    return found


def _parts(each: object) -> Iterator[tuple[str, object]]:
    if isinstance(each, str | bytes | int | float | type):
        return
    if isinstance(each, Mapping):
        for key, value in tuple(each.items()):
            yield f"<key {key}>", key
            yield f"[{key}]", value
    elif isinstance(each, list | tuple | set | frozenset | deque):
        for number, item in enumerate(tuple(each)):
            yield f"[{number}]", item
    if type(each).__module__.startswith(("chimera_s1", "tests")):
        for name in _attributes(each):
            if hasattr(each, name):
                yield f".{name}", getattr(each, name)


def _attributes(each: object) -> list[str]:
    slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*slots, *getattr(each, "__struct_fields__", ()), *getattr(each, "__dict__", {})]
