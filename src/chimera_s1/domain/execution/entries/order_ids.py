"""The client ids of an entry's orders, derived from the entry's id and the step.

The same step of the same entry always has the same id, so that no step is placed twice. The entry's
id is hashed: callers choose it, and the exchange accepts 36 characters of a small alphabet.
"""

import hashlib
from base64 import b32encode
from enum import StrEnum
from typing import NamedTuple

from chimera_s1.domain.execution.client_ids import PREFIX, check_client_id

_HASH_CHARACTERS = 20
"""100 bits of SHA-256."""


class OrderRole(StrEnum):
    """What an order is for. The value is part of the client id and never changes.

    STOP: a futures stop. CLOSE: ends an unprotected quantity. OCO: a spot order list; TAKE_PROFIT
    and STOP_LEG are its legs. EXIT: sells or buys back by the guard's decision.
    """

    ENTRY = "e"
    STOP = "s"
    CLOSE = "c"
    OCO = "o"
    TAKE_PROFIT = "p"
    STOP_LEG = "l"
    EXIT = "x"


class OrderStep(NamedTuple):
    """The *number*-th order of its role, from 1."""

    role: OrderRole
    number: int


def entry_hash(entry_id: str) -> str:
    digest = b32encode(hashlib.sha256(entry_id.encode()).digest()).decode().lower()
    return digest[:_HASH_CHARACTERS]


def order_id(entry_id: str, role: OrderRole, number: int = 1) -> str:
    return check_client_id(f"{PREFIX}{entry_hash(entry_id)}-{role.value}{number}")


def step_of(client_id: str) -> OrderStep | None:
    """None if *client_id* was not made by `order_id`."""
    body, _, step = client_id.removeprefix(PREFIX).rpartition("-")
    if len(body) != _HASH_CHARACTERS or not step[1:].isdecimal():
        return None
    try:
        return OrderStep(OrderRole(step[0]), int(step[1:]))
    except ValueError:
        return None
