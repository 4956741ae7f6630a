"""Client order ids: derived from an entry and a step, so that a repetition has the same one.

At most 36 characters of `A-Z a-z 0-9 - _` (SPOT fix-api.md; USD-M "New Order" allows more). The
symbol is not part of it: symbols may hold any letter, and some words are stopped by Binance's
firewall.
"""

import re
from hashlib import sha256

from chimera_s1.domain.errors import InvalidValueError

PREFIX = "s1-"
"""A label only: an order is ours if the execution ledger has it."""

CLIENT_ID_PATTERN = "[A-Za-z0-9_-]{1,36}"
STEP_LENGTH_MAX = 8
_DIGEST_LENGTH = 24
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)
_STEP = re.compile(rf"[a-z0-9]{{1,{STEP_LENGTH_MAX}}}")


def derive_client_id(entry_id: str, step: str) -> str:
    """*step* is short and names one order of the entry: `e`, `sl1`, `c2`."""
    assert _STEP.fullmatch(step), step
    return f"{PREFIX}{sha256(entry_id.encode()).hexdigest()[:_DIGEST_LENGTH]}-{step}"


def check_client_id(text: str) -> str:
    """Raises:
    InvalidValueError: The exchange would refuse it (-1100, -4015).
    """
    if _CLIENT_ID.fullmatch(text) is None:
        raise InvalidValueError(
            f"{text!r} is not a client order id: it has 1 to 36 letters, digits, - or _"
        )
    return text


def has_our_prefix(client_id: str) -> bool:
    return client_id.startswith(PREFIX)
