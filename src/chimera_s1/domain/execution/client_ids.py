"""Client order ids that the exchange accepts.

At most 36 characters of `A-Z a-z 0-9 - _` (SPOT fix-api.md; USD-M "New Order" allows more). The
symbol is not part of it: symbols may hold any letter, and some words are stopped by Binance's
firewall.
"""

import re

from chimera_s1.domain.errors import InvalidValueError

PREFIX = "s1-"
"""A label only: an order is ours if the execution ledger has it."""

CLIENT_ID_PATTERN = "[A-Za-z0-9_-]{1,36}"
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)


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
